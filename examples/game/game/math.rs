//! Vectors, angles and chance, the same in every engine to the last bit.
//!
//! Hosts' own sine, cosine and arc tangent differ in the last bit, and the
//! game must not. Addition, multiplication, division, `sqrt` and `floor` are
//! WebAssembly instructions with one right answer, so all is built from them.
//!
//! SPDX-License-Identifier: MIT

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI, TAU};
use std::ops::{Add, Mul, Sub};

#[derive(Clone, Copy)]
pub struct Vec2 {
    pub x: f64,
    pub y: f64,
}

impl Vec2 {
    pub const ZERO: Vec2 = Vec2 { x: 0.0, y: 0.0 };

    /// The vector of the given length that points to `angle`.
    pub fn polar(angle: f64, length: f64) -> Vec2 {
        let (sin, cos) = sin_cos(angle);
        Vec2 { x: cos * length, y: sin * length }
    }

    pub fn angle(self) -> f64 {
        atan2(self.y, self.x)
    }

    pub fn length(self) -> f64 {
        (self.x * self.x + self.y * self.y).sqrt()
    }

    /// The same place in a world whose edges meet: each coordinate in 0..size.
    pub fn wrap(self, size: Vec2) -> Vec2 {
        Vec2 { x: modulo(self.x, size.x), y: modulo(self.y, size.y) }
    }

    /// The shortest way to `other` in a world whose edges meet.
    pub fn way_to(self, other: Vec2, size: Vec2) -> Vec2 {
        let half = size * 0.5;
        (other - self + half).wrap(size) - half
    }

    pub fn is_near(self, other: Vec2, distance: f64, size: Vec2) -> bool {
        self.way_to(other, size).length() < distance
    }
}

impl Add for Vec2 {
    type Output = Vec2;
    fn add(self, other: Vec2) -> Vec2 {
        Vec2 { x: self.x + other.x, y: self.y + other.y }
    }
}

impl Sub for Vec2 {
    type Output = Vec2;
    fn sub(self, other: Vec2) -> Vec2 {
        Vec2 { x: self.x - other.x, y: self.y - other.y }
    }
}

impl Mul<f64> for Vec2 {
    type Output = Vec2;
    fn mul(self, factor: f64) -> Vec2 {
        Vec2 { x: self.x * factor, y: self.y * factor }
    }
}

/// `value` between the two bounds; a NaN becomes `low`.
pub fn clamp(value: f64, low: f64, high: f64) -> f64 {
    if value > high {
        high
    } else if value > low {
        value
    } else {
        low
    }
}

/// What is left of `value` in 0..size, also for a negative one.
fn modulo(value: f64, size: f64) -> f64 {
    value - (value / size).floor() * size
}

/// The angle that points the same way, in -PI..PI.
pub fn wrap_angle(angle: f64) -> f64 {
    modulo(angle + PI, TAU) - PI
}

/// The value at `x` of the polynomial whose lowest coefficient comes first.
fn polynomial(x: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

/// Taylor's series around the nearest quarter turn: right to 1e-11.
pub fn sin_cos(angle: f64) -> (f64, f64) {
    const SIN: [f64; 6] =
        [1.0, -1.0 / 6.0, 1.0 / 120.0, -1.0 / 5040.0, 1.0 / 362880.0, -1.0 / 39916800.0];
    const COS: [f64; 7] = [
        1.0,
        -1.0 / 2.0,
        1.0 / 24.0,
        -1.0 / 720.0,
        1.0 / 40320.0,
        -1.0 / 3628800.0,
        1.0 / 479001600.0,
    ];
    let quarters = (angle / FRAC_PI_2 + 0.5).floor();
    let rest = angle - quarters * FRAC_PI_2;
    let sin = rest * polynomial(rest * rest, &SIN);
    let cos = polynomial(rest * rest, &COS);
    match modulo(quarters, 4.0) as i32 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

/// The angle of the point (x, y), in -PI..=PI; the origin has angle 0.
pub fn atan2(y: f64, x: f64) -> f64 {
    let (width, height) = (x.abs(), y.abs());
    let steep = height > width;
    let slope = if steep { width / height } else { height / width };
    let octant = atan(if width + height > 0.0 { slope } else { 0.0 });
    let quadrant = if steep { FRAC_PI_2 - octant } else { octant };
    let half = if x < 0.0 { PI - quadrant } else { quadrant };
    if y < 0.0 {
        -half
    } else {
        half
    }
}

/// The arc tangent of a slope in 0..=1, by its series: right to 1e-10. Slopes
/// above tan(PI / 8) are first turned back by PI / 4, as the series converges
/// slowly there.
fn atan(slope: f64) -> f64 {
    const TAN_PI_8: f64 = 0.41421356237309503;
    if slope > TAN_PI_8 {
        return FRAC_PI_4 + atan((slope - 1.0) / (slope + 1.0));
    }
    const ATAN: [f64; 11] = [
        1.0,
        -1.0 / 3.0,
        1.0 / 5.0,
        -1.0 / 7.0,
        1.0 / 9.0,
        -1.0 / 11.0,
        1.0 / 13.0,
        -1.0 / 15.0,
        1.0 / 17.0,
        -1.0 / 19.0,
        1.0 / 21.0,
    ];
    slope * polynomial(slope * slope, &ATAN)
}

/// A small random generator: a counter, scrambled. Every seed is a good one.
#[derive(Clone, Copy)]
pub struct Random(pub u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e3779b9);
        let mut bits = self.0;
        bits = (bits ^ bits >> 16).wrapping_mul(0x21f0aaad);
        bits = (bits ^ bits >> 15).wrapping_mul(0x735a2d97);
        bits ^ bits >> 15
    }

    /// A number in low..high.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() as f64 / 4294967296.0)
    }

    pub fn angle(&mut self) -> f64 {
        self.between(-PI, PI)
    }
}
