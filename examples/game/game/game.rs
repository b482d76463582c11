//! An asteroids-like game that runs in any WebAssembly engine.
//!
//! The host has the screen, the keys and the clock; the game has the rules.
//! Everything visible goes out through the six imports of module `env`, all
//! input comes in through the exports. The same seed and the same calls give
//! the same drawing calls everywhere, bit for bit (see `math`).
//!
//! Lengths are in world units, times in seconds, angles in radians: 0 is to
//! the right, and y grows downwards, so angles grow clockwise. The edges of the
//! world meet: what leaves on the right comes back on the left.
//!
//! SPDX-License-Identifier: MIT

mod math;
mod pool;

use math::{clamp, sin_cos, wrap_angle, Random, Vec2};
use pool::Pool;
use std::cell::UnsafeCell;
use std::f64::consts::PI;

const PLAYER_RADIUS: f64 = 9.0;
const PLAYER_TURN: f64 = 3.6;
const PLAYER_BOOST: f64 = 150.0;
/// The part of its speed that the player loses in a second.
const PLAYER_DRAG: f64 = 0.6;
const RESTART_DELAY: f64 = 2.0;

const BULLET_SPEED: f64 = 260.0;
const BULLET_RADIUS: f64 = 3.0;
const BULLET_LIFE: f64 = 0.8;
const RELOAD: f64 = 0.2;

const ENEMY_RADIUS: f64 = 13.0;
const ENEMY_TURN: f64 = 1.3;
/// Enemies weave: they aim beside the player by up to this angle.
const ENEMY_WEAVE: f64 = 0.7;
/// How fast they change from side to side, in radians per second.
const ENEMY_WEAVE_RATE: f64 = 2.0;
const ENEMY_SPEED: f64 = 36.0;
const ENEMY_SPEED_PER_WAVE: f64 = 3.0;
const ENEMY_TOP_SPEED: f64 = 80.0;
const ENEMY_SCORE: i32 = 10;

const FIRST_WAVE: u32 = 6;
const LARGEST_WAVE: u32 = 24;
const WAVE_DELAY: f64 = 1.0;
const ARRIVAL_DELAY: f64 = 0.25;
/// No enemy arrives nearer to the player than this, if it can be helped.
const ARRIVAL_DISTANCE: f64 = 130.0;

const DEFAULT_WORLD: Vec2 = Vec2 { x: 640.0, y: 480.0 };
const SMALLEST_WORLD: f64 = 100.0;
const LARGEST_WORLD: f64 = 100_000.0;
/// A slower host sees the game slow down; nothing jumps.
const LONGEST_STEP: f64 = 0.1;

#[link(wasm_import_module = "env")]
extern "C" {
    fn clear_screen();
    fn draw_player(x: f64, y: f64, angle: f64);
    fn draw_enemy(x: f64, y: f64);
    fn draw_bullet(x: f64, y: f64);
    fn draw_particle(x: f64, y: f64, radius: f64);
    fn draw_score(score: i32);
}

/// Something that flies straight on.
#[derive(Clone, Copy)]
struct Body {
    at: Vec2,
    velocity: Vec2,
}

impl Body {
    fn fly(&mut self, seconds: f64, world: Vec2) {
        self.at = (self.at + self.velocity * seconds).wrap(world);
    }
}

#[derive(Clone, Copy)]
struct Player {
    body: Body,
    angle: f64,
    /// Seconds until it may shoot again.
    reload: f64,
}

#[derive(Clone, Copy)]
struct Enemy {
    at: Vec2,
    angle: f64,
    speed: f64,
    /// Where in its weaving it is.
    phase: f64,
}

impl Enemy {
    /// Turns to the player, the shorter way, and no faster than it can.
    fn steer(&mut self, way: Vec2, seconds: f64) {
        self.phase = wrap_angle(self.phase + ENEMY_WEAVE_RATE * seconds);
        let aim = way.angle() + ENEMY_WEAVE * sin_cos(self.phase).0;
        let turn = wrap_angle(aim - self.angle);
        let limit = ENEMY_TURN * seconds;
        self.angle = wrap_angle(self.angle + clamp(turn, -limit, limit));
    }

    fn fly(&mut self, seconds: f64, world: Vec2) {
        self.at = (self.at + Vec2::polar(self.angle, self.speed * seconds)).wrap(world);
    }
}

#[derive(Clone, Copy)]
struct Bullet {
    body: Body,
    life: f64,
}

#[derive(Clone, Copy)]
struct Particle {
    body: Body,
    life: f64,
    /// Its size is what is left of its life, times this.
    growth: f64,
}

type Particles = Pool<Particle, 128>;

/// The keys that are down.
#[derive(Clone, Copy)]
struct Keys {
    shoot: bool,
    boost: bool,
    turn_left: bool,
    turn_right: bool,
}

struct Game {
    world: Vec2,
    keys: Keys,
    random: Random,
    /// `None` after its death, until the game starts again.
    player: Option<Player>,
    enemies: Pool<Enemy, 32>,
    bullets: Pool<Bullet, 32>,
    particles: Particles,
    score: i32,
    wave: u32,
    /// Enemies of this wave that are still to come.
    arrivals: u32,
    /// Seconds until the next arrival, wave or start.
    delay: f64,
}

impl Game {
    /// All zero bits, so that it takes no room in the file; `start` does more.
    const fn new() -> Game {
        Game {
            world: Vec2::ZERO,
            keys: Keys {
                shoot: false,
                boost: false,
                turn_left: false,
                turn_right: false,
            },
            random: Random(0),
            player: None,
            enemies: Pool::new(),
            bullets: Pool::new(),
            particles: Pool::new(),
            score: 0,
            wave: 0,
            arrivals: 0,
            delay: 0.0,
        }
    }

    /// A fresh game on the same random numbers, with the same keys down.
    fn start(&mut self) {
        if self.world.x == 0.0 {
            self.world = DEFAULT_WORLD;
        }
        self.player = Some(Player {
            body: Body { at: self.world * 0.5, velocity: Vec2::ZERO },
            angle: -PI / 2.0,
            reload: 0.0,
        });
        self.enemies.clear();
        self.bullets.clear();
        self.particles.clear();
        self.score = 0;
        self.wave = 0;
        self.arrivals = 0;
        self.delay = 0.0;
    }

    fn update(&mut self, seconds: f64) {
        self.delay -= seconds;
        match self.player {
            Some(player) => {
                self.player = Some(self.control(player, seconds));
                self.send_enemies();
            }
            None if self.delay <= 0.0 => self.start(),
            None => {}
        }
        self.move_all(seconds);
        self.shoot_down();
        self.crash();
    }

    /// The player after `seconds` with the keys as they are.
    fn control(&mut self, mut player: Player, seconds: f64) -> Player {
        let keys = self.keys;
        let turn = keys.turn_right as i32 - keys.turn_left as i32;
        player.angle = wrap_angle(player.angle + turn as f64 * PLAYER_TURN * seconds);
        let ahead = Vec2::polar(player.angle, 1.0);
        let body = &mut player.body;
        body.velocity = body.velocity * (1.0 - PLAYER_DRAG * seconds);
        if keys.boost {
            body.velocity = body.velocity + ahead * (PLAYER_BOOST * seconds);
            self.leave_exhaust(*body, ahead);
        }
        player.reload -= seconds;
        if keys.shoot && player.reload <= 0.0 {
            player.reload = RELOAD;
            let at = body.at + ahead * PLAYER_RADIUS;
            let velocity = body.velocity + ahead * BULLET_SPEED;
            self.bullets.push(Bullet { body: Body { at, velocity }, life: BULLET_LIFE });
        }
        body.fly(seconds, self.world);
        player
    }

    fn leave_exhaust(&mut self, body: Body, ahead: Vec2) {
        let spread = Vec2::polar(self.random.angle(), self.random.between(0.0, 15.0));
        let at = body.at - ahead * PLAYER_RADIUS;
        let velocity = body.velocity - ahead * 80.0 + spread;
        self.particles.push(Particle {
            body: Body { at, velocity },
            life: 0.3,
            growth: 9.0,
        });
    }

    /// Lets the next enemy of the wave in, or the next wave begin.
    fn send_enemies(&mut self) {
        if self.arrivals == 0 && self.enemies.is_empty() {
            self.wave += 1;
            self.arrivals = (FIRST_WAVE + self.wave - 1).min(LARGEST_WAVE);
            self.delay = WAVE_DELAY;
        }
        if self.arrivals > 0 && self.delay <= 0.0 {
            let at = self.place_of_arrival();
            let speed = ENEMY_SPEED + ENEMY_SPEED_PER_WAVE * (self.wave - 1) as f64;
            let speed =
                clamp(speed, 0.0, ENEMY_TOP_SPEED) * self.random.between(0.8, 1.2);
            let (angle, phase) = (self.random.angle(), self.random.angle());
            self.enemies.push(Enemy { at, angle, speed, phase });
            self.arrivals -= 1;
            self.delay = ARRIVAL_DELAY;
        }
    }

    /// A point on the edge of the world, away from the player.
    fn place_of_arrival(&mut self) -> Vec2 {
        let mut at = Vec2::ZERO;
        for _ in 0..8 {
            let along = self.random.between(0.0, self.world.x + self.world.y);
            at = if along < self.world.x {
                Vec2 { x: along, y: 0.0 }
            } else {
                Vec2 { x: 0.0, y: along - self.world.x }
            };
            match self.player {
                Some(player)
                    if player.body.at.is_near(at, ARRIVAL_DISTANCE, self.world) => {}
                _ => break,
            }
        }
        at
    }

    fn move_all(&mut self, seconds: f64) {
        let (world, player) = (self.world, self.player);
        self.enemies.retain(|enemy| {
            if let Some(player) = player {
                enemy.steer(enemy.at.way_to(player.body.at, world), seconds);
            }
            enemy.fly(seconds, world);
            true
        });
        self.bullets.retain(|bullet| {
            bullet.body.fly(seconds, world);
            bullet.life -= seconds;
            bullet.life > 0.0
        });
        self.particles.retain(|particle| {
            particle.body.fly(seconds, world);
            particle.life -= seconds;
            particle.life > 0.0
        });
    }

    /// Takes each bullet and enemy that meet out of the game.
    fn shoot_down(&mut self) {
        let Game { bullets, enemies, particles, random, score, world, .. } = self;
        bullets.retain(|bullet| {
            let mut flies_on = true;
            enemies.retain(|enemy| {
                let reach = ENEMY_RADIUS + BULLET_RADIUS;
                if !flies_on || !bullet.body.at.is_near(enemy.at, reach, *world) {
                    return true;
                }
                flies_on = false;
                *score += ENEMY_SCORE;
                let velocity = Vec2::polar(enemy.angle, enemy.speed);
                explode(particles, random, Body { at: enemy.at, velocity }, 14);
                false
            });
            flies_on
        });
    }

    /// Ends the game if an enemy touches the player.
    fn crash(&mut self) {
        let body = match self.player {
            Some(player) => player.body,
            None => return,
        };
        let Game { enemies, particles, random, world, .. } = self;
        let mut is_alive = true;
        enemies.retain(|enemy| {
            let reach = ENEMY_RADIUS + PLAYER_RADIUS;
            let flies_on = !body.at.is_near(enemy.at, reach, *world);
            is_alive &= flies_on;
            flies_on
        });
        if !is_alive {
            explode(particles, random, body, 40);
            self.player = None;
            self.delay = RESTART_DELAY;
        }
    }
}

/// Sends `count` particles in all directions.
fn explode(
    particles: &mut Particles,
    random: &mut Random,
    Body { at, velocity }: Body,
    count: u32,
) {
    for _ in 0..count {
        let velocity = velocity + Vec2::polar(random.angle(), random.between(10.0, 90.0));
        let life = random.between(0.3, 0.9);
        particles.push(Particle { body: Body { at, velocity }, life, growth: 6.0 });
    }
}

/// The one game of this instance. WebAssembly without threads runs one call at
/// a time, so sharing it is safe as long as no two references to it are live.
struct Shared(UnsafeCell<Game>);

unsafe impl Sync for Shared {}

static GAME: Shared = Shared(UnsafeCell::new(Game::new()));

/// Lets `work` have the game. No `work` calls an import: a host may then call
/// any export while it draws, or leave a drawing call by an exception.
fn with_game<R>(work: impl FnOnce(&mut Game) -> R) -> R {
    unsafe { work(&mut *GAME.0.get()) }
}

/// Copies of the items that `get` finds at 0, 1, 2 and so on.
fn each<T>(get: impl Fn(&Game, usize) -> Option<T>) -> impl Iterator<Item = T> {
    (0..).map_while(move |index| with_game(|game| get(game, index)))
}

/// Starts a new game; the same seed starts the same game.
#[no_mangle]
pub extern "C" fn seed(seed: u32) {
    with_game(|game| {
        game.random = Random(seed);
        game.start();
    });
}

/// Sets the size of the world. What is then outside comes back in as it flies.
#[no_mangle]
pub extern "C" fn resize(width: f64, height: f64) {
    let x = clamp(width, SMALLEST_WORLD, LARGEST_WORLD);
    let y = clamp(height, SMALLEST_WORLD, LARGEST_WORLD);
    with_game(|game| game.world = Vec2 { x, y });
}

/// Lets that much time pass.
#[no_mangle]
pub extern "C" fn update(seconds: f64) {
    with_game(|game| game.update(clamp(seconds, 0.0, LONGEST_STEP)));
}

/// Draws everything, from back to front.
#[no_mangle]
pub extern "C" fn draw() {
    unsafe {
        clear_screen();
        for Particle { body, life, growth } in each(|game, i| game.particles.get(i)) {
            draw_particle(body.at.x, body.at.y, life * growth);
        }
        for Bullet { body, .. } in each(|game, i| game.bullets.get(i)) {
            draw_bullet(body.at.x, body.at.y);
        }
        for Enemy { at, .. } in each(|game, i| game.enemies.get(i)) {
            draw_enemy(at.x, at.y);
        }
        if let Some(Player { body, angle, .. }) = with_game(|game| game.player) {
            draw_player(body.at.x, body.at.y, angle);
        }
        draw_score(with_game(|game| game.score));
    }
}

/// Presses or releases a key, as the other three do: 0 is up, the rest down.
#[no_mangle]
pub extern "C" fn toggle_shoot(down: i32) {
    with_game(|game| game.keys.shoot = down != 0);
}

#[no_mangle]
pub extern "C" fn toggle_boost(down: i32) {
    with_game(|game| game.keys.boost = down != 0);
}

#[no_mangle]
pub extern "C" fn toggle_turn_left(down: i32) {
    with_game(|game| game.keys.turn_left = down != 0);
}

#[no_mangle]
pub extern "C" fn toggle_turn_right(down: i32) {
    with_game(|game| game.keys.turn_right = down != 0);
}
