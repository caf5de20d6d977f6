//! The cart-pole task: a pole on a cart is to be kept upright by pushing the cart left or right.
//!
//! The equations are those of Barto, Sutton and Anderson (1983, "Neuronlike adaptive elements that can solve difficult learning control
//! problems"), with the constants and the Euler steps of Gymnasium's `CartPole-v1`. Sine and cosine come from the `libm` crate, so that
//! an episode is the same on every platform.

use fused_mlp::Rng;

/// What the policy sees: position (m), velocity (m/s), angle (rad), angular velocity (rad/s).
pub(crate) type State = [f32; 4];

/// Steps after which an episode is cut.
pub(crate) const TIME_LIMIT: u32 = 500;

const GRAVITY: f64 = 9.8;
const CART_MASS: f64 = 1.0;
const POLE_MASS: f64 = 0.1;
const TOTAL_MASS: f64 = CART_MASS + POLE_MASS;
/// Half the pole's length, m.
const HALF_LENGTH: f64 = 0.5;
const FORCE: f64 = 10.0;
/// Seconds of a step.
const TAU: f64 = 0.02;
const MAX_POSITION: f64 = 2.4;
const MAX_ANGLE: f64 = 12.0 * core::f64::consts::PI / 180.0;

/// How an episode stands after a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Running,
    /// The pole has fallen, or the cart has left its track.
    Failed,
    /// The time limit has cut the episode, which would have gone on.
    Cut,
}

/// One cart with its pole.
#[derive(Clone)]
pub(crate) struct CartPole {
    position: f64,
    velocity: f64,
    angle: f64,
    angular_velocity: f64,
    steps: u32,
}

impl CartPole {
    /// At the start of an episode: all four numbers uniform in ±0.05.
    pub(crate) fn start(rng: &mut impl Rng) -> Self {
        let mut near_zero = || (rng.next_u32() as f64 / f64::from(u32::MAX) - 0.5) * 0.1;
        Self {
            position: near_zero(),
            velocity: near_zero(),
            angle: near_zero(),
            angular_velocity: near_zero(),
            steps: 0,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the policy sees `f32`")]
    pub(crate) fn state(&self) -> State {
        [
            self.position,
            self.velocity,
            self.angle,
            self.angular_velocity,
        ]
        .map(|value| value as f32)
    }

    /// Steps taken in this episode, which is its return: every step is worth 1.
    pub(crate) fn steps(&self) -> u32 {
        self.steps
    }

    /// Pushes to the right, or to the left.
    pub(crate) fn push(&mut self, to_the_right: bool) -> Status {
        let force = if to_the_right { FORCE } else { -FORCE };
        let (sin, cos) = (libm::sin(self.angle), libm::cos(self.angle));
        let swing = self.angular_velocity * self.angular_velocity * sin;
        let push = (force + POLE_MASS * HALF_LENGTH * swing) / TOTAL_MASS;
        let inertia = HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * cos * cos / TOTAL_MASS);
        let angular_acceleration = (GRAVITY * sin - cos * push) / inertia;
        let acceleration = push - POLE_MASS * HALF_LENGTH * angular_acceleration * cos / TOTAL_MASS;
        self.position += TAU * self.velocity;
        self.velocity += TAU * acceleration;
        self.angle += TAU * self.angular_velocity;
        self.angular_velocity += TAU * angular_acceleration;
        self.steps += 1;
        if self.position.abs() > MAX_POSITION || self.angle.abs() > MAX_ANGLE {
            Status::Failed
        } else if self.steps == TIME_LIMIT {
            Status::Cut
        } else {
            Status::Running
        }
    }
}
