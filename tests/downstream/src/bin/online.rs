//! Learns one event at a time, as a compressor does: each letter of a list of names is priced at −ln of the probability that
//! it was given, and only then learned.
//!
//! Asserts that the prices are below those of the letters' frequencies, and that a second learner, on the slowest backend,
//! charges the same prices and ends on the same bits, as a decoder must.

use std::time::Instant;

use fused_mlp::{
    AdamW, Backend, Corpus, Dataset, Error, NameModel, Predictor, SeedableRng, Trainer, Vocabulary,
    Xoshiro256PlusPlus,
};

/// Contexts of three letters, each with the letter that follows.
type Letters = Dataset<[u8; 3], u8>;

fn main() -> Result<(), Error> {
    let letters = Corpus::sample().windows(&Vocabulary::lowercase())?;
    let count = letters.len() as f64;

    let start = Instant::now();
    let (encoder, price) = learn(&letters, Backend::detect())?;
    let micros = start.elapsed().as_secs_f64() * 1e6 / count;
    let by_frequency = price_by_frequency(&letters);
    println!(
        "{count} letters at {:.3} nats each, {micros:.2} µs to price and learn one; by their frequencies at {:.3} nats",
        price / count,
        by_frequency / count,
    );
    assert!(price < 0.9 * by_frequency);

    // Backends that round a multiply-add twice have bits of their own.
    if encoder.backend().is_fused() {
        let (decoder, same_price) = learn(&letters, Backend::SCALAR)?;
        assert_eq!(price, same_price);
        assert!(encoder.model() == decoder.model());
    }

    // What was learned, for any number of threads.
    let predictor = Predictor::new(&encoder.model())?;
    let best = |context| predictor.top(&context);
    let (first, again) = std::thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| [[0, 0, 0], [0, 0, 17]].map(best)));
        let [first, again] = threads.map(|thread| thread.join().expect("it does not panic"));
        (first, again)
    });
    assert!(first == again && first.iter().all(Result::is_ok));
    Ok(())
}

/// Goes through the letters once: the learner at the end, and the sum of the prices, in nats.
fn learn(letters: &Letters, backend: Backend) -> Result<(Trainer<NameModel>, f64), Error> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let model = NameModel::fan_in_scaled(&mut rng);
    let mut trainer = Trainer::new(model, AdamW::new(0.001))?.with_backend(backend);
    let mut price = 0.0;
    for (context, letter) in letters.inputs().iter().zip(letters.targets()) {
        // The loss that a step returns is that before the update, and so the price.
        price += f64::from(trainer.step_one(context, letter)?);
    }
    Ok((trainer, price))
}

/// The same sum if a letter's probability is its share of the letters before it.
fn price_by_frequency(letters: &Letters) -> f64 {
    let mut counts = [1.0_f64; 27];
    let mut price = 0.0;
    for &letter in letters.targets() {
        let count = &mut counts[usize::from(letter)];
        let seen = std::mem::replace(count, *count + 1.0);
        price += (counts.iter().sum::<f64>() - 1.0).ln() - seen.ln();
    }
    price
}
