/* ai.c - plays the game by watching it and pressing its keys.
 *
 * It sees what the screen sees: it exports the drawing calls that the game
 * imports, and the host passes each of them on.  It acts through the key
 * exports of the game, which it imports.  think() is called once per frame,
 * after the drawing.  Velocities are not drawn, so it compares each frame with
 * the one before.
 *
 * Lengths are in world units, times in frames of 1/60 s, angles in radians:
 * y grows downwards, so angles grow clockwise.  No library is linked.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdbool.h>
#include <stdint.h>

#define IMPORT(name)                                                           \
    __attribute__((import_module("game"), import_name(#name))) extern
#define EXPORT(name) __attribute__((export_name(#name)))

IMPORT(toggle_shoot) void toggle_shoot(int32_t down);
IMPORT(toggle_boost) void toggle_boost(int32_t down);
IMPORT(toggle_turn_left) void toggle_turn_left(int32_t down);
IMPORT(toggle_turn_right) void toggle_turn_right(int32_t down);

static const double PI = 3.14159265358979323846;

/* What whoever plays the game learns in a while. */
static const double TURN = 3.6 / 60;           /* per frame */
static const double BULLET_SPEED = 260.0 / 60; /* as the player sees it */
static const double BULLET_LIFE = 0.8 * 60;
static const double ENEMY_RADIUS = 13;
static const double PLAYER_RADIUS = 9;

/* How careful it is.  An enemy is a danger if it is to pass with less than this
 * room between, and sooner than ALARM frames after it could have been shot;
 * once the player flees, ALL_CLEAR frames. */
static const double ELBOW_ROOM = 35;
static const double ALARM = 10;
static const double ALL_CLEAR = 30;

typedef struct {
    double x, y;
} Vec;

enum { MAX_ENEMIES = 64 };

/* One frame, as drawn. */
typedef struct {
    bool is_alive; /* if not, there is no player */
    Vec player;
    double angle;
    int enemy_count;
    Vec enemy[MAX_ENEMIES];
} Frame;

/* An enemy as seen from the player: where it is, and how that changes. */
typedef struct {
    Vec way, velocity;
} Enemy;

typedef struct {
    double turn;   /* to the right if positive, until the aim is right */
    double frames; /* until the enemy is hit */
    bool hits;     /* or would, if it were fired now */
} Shot;

static Frame frames[2];
static Frame *now = &frames[0], *before = &frames[1];
static Vec world = {640, 480};
static Enemy enemies[MAX_ENEMIES]; /* as many as there are now */
static bool is_fleeing;

/* ---- geometry ---- */

static Vec add(Vec a, Vec b) { return (Vec){a.x + b.x, a.y + b.y}; }

static Vec subtract(Vec a, Vec b) { return (Vec){a.x - b.x, a.y - b.y}; }

static Vec scale(Vec a, double by) { return (Vec){a.x * by, a.y * by}; }

static double dot(Vec a, Vec b) { return a.x * b.x + a.y * b.y; }

static double magnitude(double a) { return __builtin_fabs(a); }

static double length(Vec a) { return __builtin_sqrt(dot(a, a)); }

/* The value nearest to 0 that differs from `value` by whole periods. */
static double nearest(double value, double period)
{
    return value - period * __builtin_floor(value / period + 0.5);
}

/* The shortest way between two places; the edges of the world meet. */
static Vec way_between(Vec from, Vec to)
{
    Vec way = subtract(to, from);
    return (Vec){nearest(way.x, world.x), nearest(way.y, world.y)};
}

/* atan of -1..1, right to 0.001, which is far less than a frame's turn. */
static double atan_of_slope(double slope)
{
    double square = slope * slope;
    return slope * (0.9953545 + square * (-0.2886902 + square * 0.0793386));
}

static double angle_of(Vec v)
{
    double width = magnitude(v.x), height = magnitude(v.y);
    if (width + height == 0)
        return 0;
    if (height > width)
        return (v.y > 0 ? PI / 2 : -PI / 2) - atan_of_slope(v.x / v.y);
    double angle = atan_of_slope(v.y / v.x);
    if (v.x > 0)
        return angle;
    return v.y > 0 ? angle + PI : angle - PI;
}

/* ---- seeing ---- */

EXPORT(resize) void resize(double width, double height)
{
    world = (Vec){width, height};
}

EXPORT(clear_screen) void clear_screen(void)
{
    Frame *oldest = before;
    before = now;
    now = oldest;
    now->is_alive = false;
    now->enemy_count = 0;
}

EXPORT(draw_player) void draw_player(double x, double y, double angle)
{
    now->is_alive = true;
    now->player = (Vec){x, y};
    now->angle = angle;
}

EXPORT(draw_enemy) void draw_enemy(double x, double y)
{
    if (now->enemy_count < MAX_ENEMIES)
        now->enemy[now->enemy_count++] = (Vec){x, y};
}

EXPORT(draw_bullet) void draw_bullet(double x, double y) { (void)x, (void)y; }

EXPORT(draw_particle) void draw_particle(double x, double y, double radius)
{
    (void)x, (void)y, (void)radius;
}

EXPORT(draw_score) void draw_score(int32_t score) { (void)score; }

/* How an enemy moved since the last frame; not at all if it is new. */
static Vec velocity_of_enemy(Vec at)
{
    const double farthest = 3; /* in a frame */
    for (int i = 0; i < before->enemy_count; i++) {
        Vec moved = way_between(before->enemy[i], at);
        if (dot(moved, moved) < farthest * farthest)
            return moved;
    }
    return (Vec){0, 0};
}

static void look_at_enemies(void)
{
    Vec own = {0, 0};
    if (before->is_alive)
        own = way_between(before->player, now->player);
    for (int i = 0; i < now->enemy_count; i++) {
        Vec at = now->enemy[i];
        enemies[i].way = way_between(now->player, at);
        enemies[i].velocity = subtract(velocity_of_enemy(at), own);
    }
}

/* ---- thinking ---- */

static Vec enemy_after(Enemy enemy, double frames)
{
    return add(enemy.way, scale(enemy.velocity, frames));
}

/* The angle by which to turn until it points to `way`, the shorter way. */
static double turn_to(Vec way)
{
    return nearest(angle_of(way) - now->angle, 2 * PI);
}

/* How long a bullet takes to meet the enemy.  Bullets are faster than enemies,
 * so each round is nearer to the answer. */
static double flight_to(Enemy enemy)
{
    double frames = 0;
    for (int round = 0; round < 4; round++) {
        double way = length(enemy_after(enemy, frames));
        frames = (way - PLAYER_RADIUS) / BULLET_SPEED;
    }
    return frames > 0 ? frames : 0;
}

static Shot aim_at(Enemy enemy)
{
    double flight = flight_to(enemy);
    Vec target = enemy_after(enemy, flight);
    double turn = turn_to(target);
    double miss = magnitude(turn) * length(target);
    return (Shot){.turn = turn,
                  .frames = magnitude(turn) / TURN + flight,
                  .hits = miss < ENEMY_RADIUS * 0.8 && flight < BULLET_LIFE};
}

/* The shot that takes the least time. */
static Shot best_shot(void)
{
    Shot best = {.frames = 1e9};
    for (int i = 0; i < now->enemy_count; i++) {
        Shot shot = aim_at(enemies[i]);
        if (shot.frames < best.frames)
            best = shot;
    }
    return best;
}

/* How long until an enemy that flies straight on is as near as it gets. */
static double time_to_pass(Enemy enemy)
{
    double square = dot(enemy.velocity, enemy.velocity);
    double frames = square > 0 ? -dot(enemy.way, enemy.velocity) / square : 0;
    return frames > 0 ? frames : 0;
}

/* Whether an enemy passes too near before there is time to shoot it. */
static bool is_in_danger(double margin)
{
    for (int i = 0; i < now->enemy_count; i++) {
        Enemy enemy = enemies[i];
        double pass = time_to_pass(enemy);
        double room = length(enemy_after(enemy, pass));
        if (room < ENEMY_RADIUS + PLAYER_RADIUS + ELBOW_ROOM
            && pass < aim_at(enemy).frames + margin)
            return true;
    }
    return false;
}

/* Away from where the enemies will be soon, and most from the nearest. */
static Vec way_out(void)
{
    const double soon = 15;
    Vec out = {0, 0};
    for (int i = 0; i < now->enemy_count; i++) {
        Vec way = enemy_after(enemies[i], soon);
        double square = dot(way, way) + 1;
        out = subtract(out, scale(way, 1 / (square * __builtin_sqrt(square))));
    }
    return out;
}

/* ---- acting ---- */

static void press(double turn, bool boost, bool shoot)
{
    toggle_turn_left(turn < -TURN / 2);
    toggle_turn_right(turn > TURN / 2);
    toggle_boost(boost);
    toggle_shoot(shoot);
}

EXPORT(think) void think(void)
{
    if (!now->is_alive) {
        press(0, false, false);
        return;
    }
    look_at_enemies();
    Shot shot = best_shot();
    is_fleeing = is_in_danger(is_fleeing ? ALL_CLEAR : ALARM);
    if (!is_fleeing) {
        press(shot.turn, false, shot.hits);
        return;
    }
    double turn = turn_to(way_out());
    press(turn, magnitude(turn) < PI / 2, shot.hits);
}
