//! A curve through measurements some of which are wild: squared error against Huber's loss.
//!
//! ```text
//! cargo run --release -p examples --example regression
//! ```
//!
//! The curve is Planck's law (1900) for the sun's surface, 5,772 K: the spectral radiance at 300 wavelengths from 0.15 to
//! 3 µm. The measurements are made here, from a seed: noise of 2 % of the peak, and every twelfth reading too high by up to
//! its height, as by stray light. One network is fitted by least squares and one by Huber's loss, for which an error
//! beyond 1 pulls no harder than 1.
//!
//! The wavelength is scaled to [−1, 1]. Huber's 1 says what counts as wild, so the radiance is in units of three standard
//! deviations of the noise.

use std::error::Error;

use fused_mlp::model::RegressionLoss;
use fused_mlp::random::StandardNormal;
use fused_mlp::{
    AdamW, Dense, Huber, Mlp, Predictor, Regression, Rng, SeedableRng, SquaredError, Tanh, Trainer,
    Xoshiro256PlusPlus,
};
use plot::{Axis, BLUE, GREY, ORANGE};

type Model<L> = Mlp<Dense<1>, Tanh<32>, Regression<1, L>>;

const READINGS: usize = 300;
const STEPS: u32 = 4_000;
/// Standard deviation of the noise, in peaks.
const NOISE: f64 = 0.02;
/// What the networks see as 1, in peaks.
const UNIT: f64 = 3.0 * NOISE;
/// Wavelengths of the readings, µm.
const LONGEST: f64 = 3.0;
const SHORTEST: f64 = 0.15;

fn main() -> Result<(), Box<dyn Error>> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let wavelengths: Vec<f64> = (0..READINGS)
        .map(|i| SHORTEST + (LONGEST - SHORTEST) * i as f64 / (READINGS - 1) as f64)
        .collect();
    let truth: Vec<f64> = wavelengths.iter().map(|&w| radiance(w)).collect();
    let readings = measure(&truth, &mut rng);

    let by_squares = fit::<SquaredError>("squared error", &wavelengths, &readings)?;
    let by_huber = fit::<Huber>("Huber's loss", &wavelengths, &readings)?;
    let errors = [&by_squares, &by_huber].map(|fitted| distance(fitted, &truth));
    println!("\nroot mean square distance from Planck's law, in % of the peak");
    println!(
        "squared error {:6.2}\nHuber's loss  {:6.2}",
        100.0 * errors[0],
        100.0 * errors[1]
    );
    assert!(errors[1] < NOISE && errors[1] < errors[0] / 2.0);

    let points = |values: Vec<f64>| wavelengths.iter().copied().zip(values).collect();
    let path = plot::draw(
        "regression.svg",
        "Planck's law at 5,772 K, measured badly",
        [
            Axis("wavelength (µm)", 0.0..3.1, |x| format!("{x:.1}")),
            Axis("radiance (peaks)", -0.1..2.1, |y| format!("{y:.1}")),
        ],
        vec![
            plot::dots("measured", GREY, 3, points(readings)),
            plot::line("Planck's law", GREY, 7, points(truth)),
            plot::line("squared error", ORANGE, 3, points(by_squares)),
            plot::line("Huber's loss", BLUE, 3, points(by_huber)),
        ],
    )?;
    println!("wrote {}", path.display());
    Ok(())
}

/// Planck's law over the wavelength in µm, in units of its peak: (eˣ − 1) / (u⁵ · (e^(x/u) − 1)), u the wavelength over that
/// of the peak, x = 4.965… the root of x = 5 · (1 − e⁻ˣ).
fn radiance(wavelength: f64) -> f64 {
    const X_PEAK: f64 = 4.965_114_231_744_276;
    /// Wien's displacement constant over 5,772 K, in µm.
    const PEAK: f64 = 2_897.771_955 / 5_772.0;
    let u = wavelength / PEAK;
    X_PEAK.exp_m1() / (u.powi(5) * (X_PEAK / u).exp_m1())
}

/// The true values as a bad instrument gives them.
fn measure(truth: &[f64], rng: &mut Xoshiro256PlusPlus) -> Vec<f64> {
    let mut normal = StandardNormal::default();
    let readings = truth.iter().enumerate().map(|(i, value)| {
        let noise = NOISE * f64::from(normal.sample(rng));
        let stray = match i % 12 {
            5 => 0.3 + 0.7 * f64::from(rng.next_u32()) / f64::from(u32::MAX),
            _ => 0.0,
        };
        value + noise + stray
    });
    readings.collect()
}

/// Fits a network, printing its loss along the way, and returns what it gives at every wavelength.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "networks take single precision"
)]
fn fit<L: RegressionLoss>(
    name: &str,
    wavelengths: &[f64],
    readings: &[f64],
) -> Result<Vec<f64>, Box<dyn Error>> {
    let middle = (SHORTEST + LONGEST) / 2.0;
    let inputs: Vec<_> = wavelengths
        .iter()
        .map(|w| [((w - middle) / (LONGEST - middle)) as f32])
        .collect();
    let targets: Vec<_> = readings.iter().map(|y| [(y / UNIT) as f32]).collect();

    let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
    let mut trainer = Trainer::new(Model::<L>::fan_in_scaled(&mut rng), AdamW::new(0.02))?;
    println!("\n{name}");
    for step in 0..STEPS {
        let loss = trainer.step(&inputs, &targets)?;
        if step.is_multiple_of(STEPS / 4) || step == STEPS - 1 {
            println!("step {step:5}  loss {loss:8.4}");
        }
        // Down to a hundredth of the rate, so that the end is calm.
        trainer.set_learning_rate(0.02 * 0.01_f32.powf(step as f32 / STEPS as f32))?;
    }
    let predictor = Predictor::new(&trainer.model())?;
    let fitted = inputs.iter().map(|input| predictor.predict(input));
    Ok(fitted
        .map(|y| y.map(|[y]| f64::from(y) * UNIT))
        .collect::<Result<_, _>>()?)
}

/// Root mean square.
fn distance(found: &[f64], expected: &[f64]) -> f64 {
    let squares = found.iter().zip(expected).map(|(f, e)| (f - e).powi(2));
    (squares.sum::<f64>() / expected.len() as f64).sqrt()
}
