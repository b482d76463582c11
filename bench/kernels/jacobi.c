/* jacobi.c - n double sweeps of the five-point stencil over an f64 grid:
 * loads at constant distances, which a vectorising compiler pairs. */
#include "kernel.h"

enum { ROWS = 258, COLUMNS = 258 };

static double grid[ROWS][COLUMNS], next[ROWS][COLUMNS];

static void fill(void)
{
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLUMNS; j++) {
            grid[i][j] = i == 0 ? 1 : j == 0 ? 0.5 : 0;
            next[i][j] = grid[i][j];
        }
    }
}

static void sweep(void)
{
    for (int i = 1; i < ROWS - 1; i++)
        for (int j = 1; j < COLUMNS - 1; j++)
            next[i][j] = (grid[i - 1][j] + grid[i + 1][j] + grid[i][j - 1]
                          + grid[i][j + 1])
                         * 0.25;
}

static void sweep_back(void)
{
    for (int i = 1; i < ROWS - 1; i++)
        for (int j = 1; j < COLUMNS - 1; j++)
            grid[i][j] = (next[i - 1][j] + next[i + 1][j] + next[i][j - 1]
                          + next[i][j + 1])
                         * 0.25;
}

uint32_t kernel(uint32_t n)
{
    uint32_t sum = 0;

    fill();
    for (uint32_t i = 0; i < n; i++) {
        sweep();
        sweep_back();
    }
    for (int i = 0; i < ROWS; i++)
        sum = mix_double(sum, grid[i][i]);
    return sum;
}
