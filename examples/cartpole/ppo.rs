//! Proximal policy optimization (Schulman et al., 2017): collects steps with the policy as it is, and improves it on them by a
//! clipped objective, with advantages by generalized estimation (Schulman et al., 2016).

use std::array::from_fn;

use fused_mlp::losses::{cross_entropy, squared};
use fused_mlp::{
    AdamW, Backend, Dense, Error, Mlp, Model, Regression, SeedableRng, Softmax, Tanh, Trainer,
    Xoshiro256PlusPlus, sample,
};

use crate::environment::{CartPole, State, Status};

/// Carts at a time, and steps of each between two improvements.
const CARTS: usize = 8;
const HORIZON: usize = 32;
/// Passes over the steps of each improvement.
const EPOCHS: usize = 20;
const DISCOUNT: f32 = 0.98;
/// Of the generalized advantage estimation.
const LAMBDA: f32 = 0.8;
const CLIP: f32 = 0.2;
const ENTROPY_BONUS: f32 = 0.001;
/// At the start; it falls in a straight line to zero at [`MAX_STEPS`].
const LEARNING_RATE: f32 = 0.001;
const MAX_NORM: f32 = 0.5;
/// Steps of carts after which a run has failed.
pub(crate) const MAX_STEPS: usize = 300_000;
/// Episodes of the mean that decides, and the mean that solves the task.
const WINDOW: usize = 100;
const SOLVED: f64 = 475.0;

type Policy = Mlp<Dense<4>, (Tanh<64>, Tanh<64>), Softmax<2>>;
type Value = Mlp<Dense<4>, (Tanh<64>, Tanh<64>), Regression<1>>;

/// What the policy's loss needs of a step.
#[derive(Clone, Copy)]
struct Taken {
    action: usize,
    /// ln of the action's probability when it was taken.
    log_probability: f32,
    advantage: f32,
}

/// A run that goes on until the task is solved.
pub(crate) struct Run {
    rng: Xoshiro256PlusPlus,
    policy: Trainer<Policy>,
    value: Trainer<Value>,
    carts: [CartPole; CARTS],
    /// Steps of all carts.
    pub(crate) steps: usize,
    /// Steps taken, and the return of the episode that then ended.
    pub(crate) episodes: Vec<(usize, u32)>,
}

/// The last steps of all carts, `[step][cart]`.
struct Rollout {
    states: Vec<[State; CARTS]>,
    values: Vec<[f32; CARTS]>,
    /// What each step earned; where the time limit cut an episode, with the value of the state in which it was cut.
    rewards: Vec<[f32; CARTS]>,
    ended: Vec<[bool; CARTS]>,
    taken: Vec<[Taken; CARTS]>,
}

impl Run {
    pub(crate) fn new(seed: u64, backend: Backend) -> Result<Self, Error> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut policy = Policy::kaiming_normal(&mut rng);
        // Nearly even at first, so that no action is preferred before it has been tried.
        *policy.output.weights *= 0.01;
        let value = Value::kaiming_normal(&mut rng);
        let optimizer = AdamW {
            weight_decay: 0.0,
            ..AdamW::new(LEARNING_RATE)
        };
        let policy = Trainer::new(policy, optimizer)?.with_backend(backend);
        let value = Trainer::new(value, optimizer)?.with_backend(backend);
        Ok(Self {
            policy: policy.with_clipping(MAX_NORM)?,
            value: value.with_clipping(MAX_NORM)?,
            carts: from_fn(|_| CartPole::start(&mut rng)),
            rng,
            steps: 0,
            episodes: Vec::new(),
        })
    }

    /// The mean return of the last hundred episodes; `None` before there are so many.
    pub(crate) fn mean_return(&self) -> Option<f64> {
        let window = self.episodes.last_chunk::<WINDOW>()?;
        let sum: u32 = window.iter().map(|(_, length)| length).sum();
        Some(f64::from(sum) / WINDOW as f64)
    }

    pub(crate) fn is_solved(&self) -> bool {
        self.mean_return().is_some_and(|mean| mean >= SOLVED)
    }

    /// Numbers of both models, mixed into one: the same for a seed on every fused backend.
    pub(crate) fn checksum(&self) -> u64 {
        let (policy, value) = (self.policy.model(), self.value.model());
        let values = policy.tensors().chain(value.tensors());
        values
            .flat_map(|(_, values)| values)
            .fold(0, |hash: u64, value| {
                (hash.rotate_left(5) ^ u64::from(value.to_bits()))
                    .wrapping_mul(0x517c_c1b7_2722_0a95)
            })
    }

    /// Collects steps, and improves both models on them.
    pub(crate) fn improve(&mut self) -> Result<(), Error> {
        let left = 1.0 - self.steps as f32 / MAX_STEPS as f32;
        self.policy.set_learning_rate(LEARNING_RATE * left)?;
        self.value.set_learning_rate(LEARNING_RATE * left)?;

        let rollout = self.collect()?;
        let last = self.values(&self.carts.each_ref().map(CartPole::state))?;
        let (taken, returns) = rollout.with_advantages(last);
        let states = rollout.states.as_flattened();
        for _ in 0..EPOCHS {
            self.policy.step_with(states, &taken, clipped_objective)?;
            self.value.step_with(states, &returns, squared)?;
        }
        Ok(())
    }

    fn values(&mut self, states: &[State; CARTS]) -> Result<[f32; CARTS], Error> {
        let mut values = [[0.0]; CARTS];
        self.value.logits_batch(states, &mut values)?;
        Ok(values.map(|[value]| value))
    }

    /// A stretch of steps with the policy as it is.
    fn collect(&mut self) -> Result<Rollout, Error> {
        let mut rollout = Rollout {
            states: Vec::with_capacity(HORIZON),
            values: Vec::with_capacity(HORIZON),
            rewards: Vec::with_capacity(HORIZON),
            ended: Vec::with_capacity(HORIZON),
            taken: Vec::with_capacity(HORIZON),
        };
        for _ in 0..HORIZON {
            let states = self.carts.each_ref().map(CartPole::state);
            let mut logits = [[0.0; 2]; CARTS];
            self.policy.logits_batch(&states, &mut logits)?;
            let (mut rewards, mut ended) = ([1.0; CARTS], [false; CARTS]);
            let mut taken = Vec::with_capacity(CARTS);
            for (cart, logits) in logits.iter().enumerate() {
                let action = sample::categorical(logits, 1.0, &mut self.rng)?;
                taken.push(Taken {
                    action,
                    log_probability: -cross_entropy(logits, action).0,
                    advantage: 0.0,
                });
                self.steps += 1;
                let status = self.carts[cart].push(action == 1);
                if status == Status::Running {
                    continue;
                }
                if status == Status::Cut {
                    let [value] = self.value.logits(&self.carts[cart].state())?;
                    rewards[cart] += DISCOUNT * value;
                }
                self.episodes.push((self.steps, self.carts[cart].steps()));
                ended[cart] = true;
                self.carts[cart] = CartPole::start(&mut self.rng);
            }
            rollout.values.push(self.values(&states)?);
            rollout.states.push(states);
            rollout.rewards.push(rewards);
            rollout.ended.push(ended);
            rollout.taken.push(from_fn(|cart| taken[cart]));
        }
        Ok(rollout)
    }
}

impl Rollout {
    /// The steps with their advantages, scaled to mean 0 and variance 1, and the returns that the values should have foretold, both
    /// step by step and cart by cart. `last` is the value of the states after the last step.
    ///
    /// ```text
    /// δ_t = r_t + γ · V_(t+1) − V_t        A_t = δ_t + γ λ · A_(t+1)        but for δ_t = r_t − V_t, A_t = δ_t at an end
    /// ```
    fn with_advantages(&self, last: [f32; CARTS]) -> (Vec<Taken>, Vec<[f32; 1]>) {
        let mut advantages = vec![[0.0; CARTS]; HORIZON];
        for cart in 0..CARTS {
            let (mut advantage, mut next) = (0.0, last[cart]);
            for step in (0..HORIZON).rev() {
                let value = self.values[step][cart];
                let goes_on = if self.ended[step][cart] { 0.0 } else { 1.0 };
                let surprise = self.rewards[step][cart] + DISCOUNT * next * goes_on - value;
                advantage = surprise + DISCOUNT * LAMBDA * goes_on * advantage;
                advantages[step][cart] = advantage;
                next = value;
            }
        }
        let advantages = advantages.as_flattened();
        let values = self.values.as_flattened();
        let returns = advantages.iter().zip(values).map(|(a, v)| [a + v]);

        let count = advantages.len() as f32;
        let mean = advantages.iter().sum::<f32>() / count;
        let squares = advantages.iter().map(|a| (a - mean) * (a - mean));
        let deviation = (squares.sum::<f32>() / count).sqrt() + 1e-8;
        let taken = self.taken.as_flattened().iter().zip(advantages);
        let taken = taken.map(|(taken, advantage)| Taken {
            advantage: (advantage - mean) / deviation,
            ..*taken
        });
        (taken.collect(), returns.collect())
    }
}

/// −min(ρ · A, clip(ρ, 1 − ε, 1 + ε) · A) − β · H, with ρ the action's probability over that when it was taken, and H the entropy of
/// the policy.
fn clipped_objective(logits: &[f32; 2], taken: &Taken) -> (f32, [f32; 2]) {
    let (surprise, slopes) = cross_entropy(logits, taken.action); // −ln π, and π − onehot
    let ratio = libm::expf(-surprise - taken.log_probability);
    let (free, clipped) = (
        ratio * taken.advantage,
        ratio.clamp(1.0 - CLIP, 1.0 + CLIP) * taken.advantage,
    );
    // Beyond the clip nothing more is to be gained, and the gradient is zero.
    let pull = if free <= clipped { free } else { 0.0 };

    let log_policy: [f32; 2] = from_fn(|action| -cross_entropy(logits, action).0);
    let policy = log_policy.map(libm::expf);
    let entropy = -(policy[0] * log_policy[0] + policy[1] * log_policy[1]);
    let gradient =
        from_fn(|k| pull * slopes[k] + ENTROPY_BONUS * policy[k] * (log_policy[k] + entropy));
    (-free.min(clipped) - ENTROPY_BONUS * entropy, gradient)
}
