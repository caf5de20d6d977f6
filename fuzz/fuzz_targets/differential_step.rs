//! Training steps on every backend that promises the same bits, against the specification: loss, gradients, parameters
//! after each step, predictions, and errors.
#![no_main]

use fused_mlp::model::{Head, HiddenLayers, Input};
use fused_mlp::random::StandardNormal;
use fused_mlp::{
    Backend, Binary, ClippedRelu, Dataset, Dense, Error, Gelu, Huber, LeakyRelu, Minibatch, Mlp,
    Model, Regression, Relu, SeedableRng, Sgd, Sigmoid, Silu, Softmax, Softplus, Tanh, Tokens,
    Trainer, Xoshiro256PlusPlus as Xoshiro,
};
use libfuzzer_sys::arbitrary::{self, Unstructured};
use libfuzzer_sys::fuzz_target;

/// Most examples that are drawn for a batch: a whole block of 64, and a bit.
const MOST_EXAMPLES: usize = 67;

fuzz_target!(|bytes: &[u8]| {
    // Running out of bytes is no finding.
    let _ = choose_shape(&mut Unstructured::new(bytes));
});

/// Widths around the sixteen lanes and the tiles of the kernels, one hidden layer to eight, both inputs, all heads, all
/// activations; with each the sizes of its vocabulary and of its classes.
fn choose_shape(data: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    match data.int_in_range(0..=14)? {
        0 => run::<Tokens<2, 1, 1>, Tanh<1>, Softmax<2>>(2, 2, data),
        1 => run::<Tokens<5, 2, 3>, Tanh<7>, Softmax<5>>(5, 5, data),
        2 => run::<Tokens<27, 3, 2>, Tanh<100>, Softmax<27>>(27, 27, data),
        3 => run::<Tokens<3, 5, 2>, LeakyRelu<33>, Softmax<17>>(3, 17, data),
        4 => run::<Tokens<256, 3, 4>, Tanh<7>, Softmax<256>>(256, 256, data),
        5 => run::<Tokens<27, 3, 2>, Tanh<16>, Regression<2>>(27, 0, data),
        6 => run::<Dense<1>, Tanh<1>, Regression<1>>(0, 0, data),
        7 => run::<Dense<8>, Relu<64>, Regression<1>>(0, 0, data),
        8 => run::<Dense<17>, Tanh<20>, Softmax<10>>(0, 10, data),
        9 => run::<Dense<6>, ClippedRelu<33>, Binary>(0, 0, data),
        10 => run::<Tokens<9, 2, 3>, Tanh<40>, Regression<19, Huber>>(9, 0, data),
        11 => run::<Dense<4>, (Softplus<64>, Sigmoid<17>), Softmax<3>>(0, 3, data),
        12 => run::<Tokens<5, 2, 3>, (Relu<7>, Gelu<1>, Silu<33>), Regression<2>>(5, 0, data),
        13 => run::<Tokens<300, 2, 3, u16>, Gelu<17>, Softmax<290, u16>>(300, 290, data),
        _ => run::<Dense<2>, EightLayers, Binary>(0, 0, data),
    }
}

type EightLayers = (
    Tanh<3>,
    Relu<16>,
    Tanh<5>,
    Tanh<17>,
    Relu<8>,
    Relu<8>,
    Tanh<2>,
    Tanh<31>,
);

/// What is drawn as an input or a target; bytes below `limit`, but for the odd one.
trait Draw: Sized {
    fn draw(limit: usize, data: &mut Unstructured<'_>) -> arbitrary::Result<Self>;
}

impl Draw for u8 {
    fn draw(limit: usize, data: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        let byte: u8 = data.arbitrary()?;
        let is_odd_one = byte == u8::MAX && data.ratio(1, 16)?;
        Ok(if is_odd_one {
            byte
        } else {
            (usize::from(byte) % limit) as u8
        })
    }
}

impl Draw for u16 {
    fn draw(limit: usize, data: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        let word: u16 = data.arbitrary()?;
        let is_odd_one = word == u16::MAX && data.ratio(1, 16)?;
        Ok(if is_odd_one {
            word
        } else {
            (usize::from(word) % limit) as u16
        })
    }
}

impl Draw for bool {
    fn draw(_: usize, data: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        data.arbitrary()
    }
}

/// An array of what is drawn one by one.
macro_rules! array {
    ($($token:ty),*) => {$(
        impl<const N: usize> Draw for [$token; N] {
            fn draw(limit: usize, data: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
                let mut tokens = [0; N];
                for token in &mut tokens {
                    *token = <$token>::draw(limit, data)?;
                }
                Ok(tokens)
            }
        }
    )*};
}
array!(u8, u16);

impl<const N: usize> Draw for [f32; N] {
    fn draw(_: usize, data: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        let mut numbers = [0.0; N];
        for number in &mut numbers {
            *number = draw_number(data)?;
        }
        Ok(numbers)
    }
}

/// Mostly around 1; zeros, subnormals, powers of two, the largest; seldom any bits at all.
fn draw_number(data: &mut Unstructured<'_>) -> arbitrary::Result<f32> {
    let small: i8 = data.arbitrary()?;
    let sixteenths = f32::from(small) / 16.0;
    Ok(match data.arbitrary::<u8>()? {
        0 => 0.0_f32.copysign(sixteenths),
        1 => f32::MAX.copysign(sixteenths),
        2 => f32::MIN_POSITIVE.copysign(sixteenths),
        3 => sixteenths * 1e-40,
        4 => 2.0_f32.powi(small.into()),
        5 => -2.0_f32.powi(small.into()),
        6 => sixteenths * 1e30,
        7 => f32::from_bits(data.arbitrary()?),
        _ => sixteenths,
    })
}

fn run<I: Input<Example: Draw>, L: HiddenLayers, O: Head<Target: Draw>>(
    vocabulary: usize,
    classes: usize,
    data: &mut Unstructured<'_>,
) -> arbitrary::Result<()> {
    let model = draw_model::<Mlp<I, L, O>>(data)?;
    let rate = draw_number(data)?;
    let batches = data.int_in_range(1..=3)?;
    let mut steps = Vec::new();
    for _ in 0..batches {
        let len = data.int_in_range(0..=MOST_EXAMPLES)?;
        let missing = usize::from(data.ratio(1, 64)?).min(len);
        let mut inputs = Vec::new();
        let mut targets = Vec::new();
        for _ in 0..len {
            inputs.push(I::Example::draw(vocabulary, data)?);
            targets.push(O::Target::draw(classes, data)?);
        }
        targets.truncate(len - missing);
        steps.push((inputs, targets));
    }
    // The first batch several times over has several blocks, without another byte for their examples.
    let copies = data.int_in_range(1..=5)?;
    let (inputs, targets) = &mut steps[0];
    *inputs = inputs.repeat(copies);
    *targets = targets.repeat(copies);

    let weights = [(); 5].map(|()| draw_number(data));
    let weights = weights.into_iter().collect::<arbitrary::Result<Vec<_>>>()?;

    // All that can be seen of a run, in the order in which it is seen.
    let observe = |backend| {
        let mut seen = Vec::new();
        let (inputs, targets) = &steps[0];
        match model.gradients_on(backend, inputs, targets) {
            Ok((loss, gradients)) => {
                seen.push(Seen::Loss(Bits(loss)));
                seen.push(Seen::Numbers(bits_of(&gradients)));
            }
            Err(error) => seen.push(error.into()),
        }
        let trainer = Trainer::new(model.clone(), Sgd::new(rate));
        let mut trainer = match trainer.map(|trainer| trainer.with_backend(backend)) {
            Ok(trainer) => trainer,
            Err(error) => {
                seen.push(error.into());
                return seen;
            }
        };
        for (inputs, targets) in &steps {
            for way in Way::ALL {
                let before = bits_of(&trainer.model());
                let loss = match (way, inputs.first(), targets.first()) {
                    (Way::One, Some(input), Some(target)) => trainer.step_one(input, target),
                    (Way::OneWith, Some(input), Some(target)) => {
                        trainer.step_one_with(input, target, half_of_squares::<O>)
                    }
                    (Way::Batch | Way::One, ..) => trainer.step(inputs, targets),
                    (Way::BatchWith | Way::OneWith, ..) => {
                        trainer.step_with(inputs, targets, half_of_squares::<O>)
                    }
                    (Way::Weighted, ..) => step_weighted(&mut trainer, inputs, targets, &weights),
                    (Way::Applied, ..) => {
                        let gradients = trainer.gradients(inputs, targets);
                        gradients.and_then(|gradients| trainer.apply(&gradients))
                    }
                };
                match loss {
                    Ok(loss) => seen.push(Seen::Loss(Bits(loss))),
                    Err(error) => {
                        seen.push(error.into());
                        assert!(
                            bits_of(&trainer.model()) == before,
                            "a failed step changed the model"
                        );
                    }
                }
                let parameters = bits_of(&trainer.model());
                assert!(parameters.iter().all(|Bits(value)| value.is_finite()));
                seen.push(Seen::Numbers(parameters));
            }
            if let Some(&input) = inputs.first() {
                let Ok(blank) = Mlp::<I, L, O>::zeroed().predict(&input) else {
                    continue;
                };
                let mut predictions = vec![blank; inputs.len()];
                seen.push(match trainer.predict_batch(inputs, &mut predictions) {
                    Ok(()) => {
                        let values = predictions.iter().flat_map(AsRef::as_ref);
                        Seen::Numbers(values.copied().map(Bits).collect())
                    }
                    Err(error) => error.into(),
                });
            }
            for input in inputs.iter().take(1) {
                for prediction in [trainer.predict(input), trainer.logits(input)] {
                    seen.push(match prediction {
                        Ok(values) => {
                            Seen::Numbers(values.as_ref().iter().copied().map(Bits).collect())
                        }
                        Err(error) => error.into(),
                    });
                }
            }
        }
        seen
    };
    let expected = observe(Backend::SCALAR);
    for backend in Backend::available().filter(|backend| backend.is_fused()) {
        for (found, expected) in observe(backend).iter().zip(&expected) {
            assert!(found == expected, "{backend}: {found:?}\nnot {expected:?}");
        }
    }
    Ok(())
}

/// How a step is taken.
#[derive(Clone, Copy)]
enum Way {
    Batch,
    One,
    BatchWith,
    OneWith,
    Weighted,
    Applied,
}

impl Way {
    const ALL: [Self; 6] = [
        Self::Batch,
        Self::One,
        Self::BatchWith,
        Self::OneWith,
        Self::Weighted,
        Self::Applied,
    ];
}

/// A step on examples whose weights are these, again and again.
fn step_weighted<I: Input, L: HiddenLayers, O: Head>(
    trainer: &mut Trainer<Mlp<I, L, O>>,
    inputs: &[I::Example],
    targets: &[O::Target],
    weights: &[f32],
) -> Result<f32, Error> {
    let weights = weights.iter().copied().cycle().take(inputs.len());
    let data = Dataset::new(inputs.to_vec(), targets.to_vec())?.with_weights(weights.collect())?;
    let mut minibatch = Minibatch::new(data.len());
    let indices: Vec<u32> = (0..).take(data.len()).collect();
    data.select(&indices, &mut minibatch)?;
    trainer.step_batch(&minibatch)
}

/// A loss of one's own that any head's outputs can have: ½ Σ z², with gradient z.
fn half_of_squares<O: Head>(outputs: &O::Prediction, _: &O::Target) -> (f32, O::Prediction) {
    let squares = outputs.as_ref().iter().map(|z| 0.5 * z * z);
    (squares.sum(), *outputs)
}

/// Normal numbers of a scale, a few of them replaced.
fn draw_model<M: Model>(data: &mut Unstructured<'_>) -> arbitrary::Result<M> {
    let mut rng = Xoshiro::seed_from_u64(data.arbitrary()?);
    let mut normal = StandardNormal::default();
    let scale = 2.0_f32.powi(data.int_in_range(-8..=8)?);
    let mut replaced = Vec::new();
    for _ in 0..data.int_in_range(0..=20)? {
        replaced.push((data.arbitrary::<u16>()?, draw_number(data)?));
    }
    let mut model = M::zeroed();
    for (_, values) in model.tensors_mut() {
        values.fill_with(|| scale * normal.sample(&mut rng));
    }
    for (_, values) in model.tensors_mut() {
        for &(place, number) in &replaced {
            let place = usize::from(place) % values.len();
            // In the smallest tensors as in the largest, but not in each of them.
            if (place + values.len()) % 3 == 0 {
                values[place] = number;
            }
        }
    }
    Ok(model)
}

/// What a run shows.
#[derive(Debug, PartialEq)]
enum Seen {
    Loss(Bits),
    Numbers(Vec<Bits>),
    /// As text, because an error that carries NaN does not equal itself.
    Error(String),
}

impl From<Error> for Seen {
    fn from(error: Error) -> Self {
        Self::Error(format!("{error:?}"))
    }
}

/// A number that equals another of the same bits, and any NaN if it is one.
#[derive(Clone, Copy, Debug)]
struct Bits(f32);

impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits() || (self.0.is_nan() && other.0.is_nan())
    }
}

fn bits_of(model: &impl Model) -> Vec<Bits> {
    let mut all = Vec::new();
    for (_, values) in model.tensors() {
        all.extend(values.iter().copied().map(Bits));
    }
    all
}
