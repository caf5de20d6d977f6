//! A stream whose law changes: a network that learns every event, against one that stopped learning.
//!
//! ```text
//! cargo run --release -p examples --example online
//! ```
//!
//! The events are Hénon's map (1976), x′ = 1 − a·x² + y, y′ = 0.3·x, seen through noise: from a point, the x of the next is
//! to be told. Half-way a falls from 1.4 to 1.2. Each event is first predicted, which gives its error, and then learned by
//! [`Trainer::step_one`]. The frozen network is a [`Predictor`] made just before the change.

use std::error::Error;
use std::time::{Duration, Instant};

use fused_mlp::random::StandardNormal;
use fused_mlp::{
    AdamW, Dense, Mlp, Predictor, Regression, SeedableRng, Tanh, Trainer, Xoshiro256PlusPlus,
};
use plot::{Axis, BLUE, ORANGE};

type Model = Mlp<Dense<2>, Tanh<24>, Regression<1>>;

const EVENTS: usize = 40_000;
/// The event at which the law changes.
const CHANGE: usize = EVENTS / 2;
/// Events that one error of the table and the picture is the mean of.
const WINDOW: usize = 500;
/// Standard deviation of what is added to every observation.
const NOISE: f32 = 0.01;

fn main() -> Result<(), Box<dyn Error>> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut trainer = Trainer::new(Model::fan_in_scaled(&mut rng), AdamW::new(0.002))?;
    let mut frozen: Option<Predictor<Model>> = None;

    let mut sums = [0.0_f64; 2];
    let mut curves = [Vec::new(), Vec::new()];
    let mut learning = Duration::ZERO;
    println!("root mean square error over the last {WINDOW} events\n\n events   learning   frozen");
    for (event, (input, target)) in henon(&mut rng).take(EVENTS).enumerate() {
        let start = Instant::now();
        let prediction = trainer.predict(&input)?;
        trainer.step_one(&input, &target)?;
        learning += start.elapsed();
        // Until the change the two are the same network.
        let without_learning = match &frozen {
            Some(frozen) => frozen.predict(&input)?,
            None => prediction,
        };
        sums[0] += squared_error(prediction, target);
        sums[1] += squared_error(without_learning, target);

        let done = event + 1;
        if done == CHANGE {
            frozen = Some(Predictor::new(&trainer.model())?);
        }
        if done.is_multiple_of(WINDOW) {
            let errors = sums.map(|sum| (sum / WINDOW as f64).sqrt());
            for (curve, error) in curves.iter_mut().zip(errors) {
                curve.push((done as f64, error));
            }
            if done.is_multiple_of(4_000) || done == CHANGE + WINDOW {
                println!("{done:7} {:10.4} {:8.4}", errors[0], errors[1]);
            }
            sums = [0.0; 2];
        }
    }
    let micros = learning.as_secs_f64() * 1e6 / EVENTS as f64;
    println!(
        "\n{micros:.2} µs to predict and learn an event, on {}",
        trainer.backend()
    );

    let last = |curve: &[(f64, f64)]| curve.last().map_or(f64::NAN, |&(_, error)| error);
    let [learning, frozen] = curves;
    assert!(last(&learning) < last(&frozen) / 3.0);
    let path = plot::draw(
        "online.svg",
        "Hénon's map changes at event 20,000",
        [
            Axis("event", 0.0..EVENTS as f64, |x| format!("{x:.0}")),
            Axis("root mean square error", 0.0..0.7, |y| format!("{y:.1}")),
        ],
        vec![
            plot::line("frozen at the change", ORANGE, 3, frozen),
            plot::line("learning", BLUE, 3, learning),
        ],
    )?;
    println!("wrote {}", path.display());
    Ok(())
}

/// Observed points of the map, each with the x that follows.
fn henon(rng: &mut Xoshiro256PlusPlus) -> impl Iterator<Item = ([f32; 2], [f32; 1])> {
    let mut normal = StandardNormal::default();
    let mut noise = move || NOISE * normal.sample(rng);
    let (mut x, mut y) = (0.1_f32, 0.1_f32);
    (0..).map(move |event| {
        let a = if event < CHANGE { 1.4 } else { 1.2 };
        let point = [x + noise(), y + noise()];
        (x, y) = (1.0 - a * x * x + y, 0.3 * x);
        (point, [x + noise()])
    })
}

fn squared_error([found]: [f32; 1], [expected]: [f32; 1]) -> f64 {
    f64::from(found - expected).powi(2)
}
