/* tree.c - n times a binary tree of 2^14 - 1 nodes is grown, measured and
 * given back to a free list: recursion and pointers. */
#include "kernel.h"

enum { DEPTH = 13, NODES = (1 << (DEPTH + 1)) - 1 };

typedef struct Node Node;
struct Node {
    Node *left, *right;
    uint32_t key;
};

static Node nodes[NODES];
static Node *free_nodes;

static void make_free_list(void)
{
    free_nodes = NULL;
    for (int i = 0; i < NODES; i++) {
        nodes[i].left = free_nodes;
        free_nodes = &nodes[i];
    }
}

static NOINLINE Node *grow(int depth, uint32_t key)
{
    Node *node = free_nodes;

    free_nodes = node->left;
    node->key = key;
    node->left = depth ? grow(depth - 1, 2 * key) : NULL;
    node->right = depth ? grow(depth - 1, 2 * key + 1) : NULL;
    return node;
}

static NOINLINE uint32_t measure(const Node *node)
{
    if (!node)
        return 1;
    return measure(node->left) * 3 + (node->key ^ measure(node->right));
}

static NOINLINE void give_back(Node *node)
{
    if (node->right)
        give_back(node->right);
    if (node->left)
        give_back(node->left);
    node->left = free_nodes;
    free_nodes = node;
}

uint32_t kernel(uint32_t n)
{
    uint32_t sum = 0;

    make_free_list();
    for (uint32_t i = 0; i < n; i++) {
        Node *root = grow(DEPTH, i + 1);

        sum = mix(sum, measure(root));
        give_back(root);
    }
    return sum;
}
