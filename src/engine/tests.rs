//! Padding is inert: whatever the optimizer, it is zero before a step and zero after it.

use alloc::vec;

use proptest::prelude::*;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use super::*;
use crate::kernels::chunk::Workspace;
use crate::kernels::pairwise::Blocks;
use crate::model::{
    Binary, Dense, Gelu, Huber, Inputs, Mlp, NameModel, Regression, Relu, Sigmoid, Silu, Softmax,
    Softplus, Symbols, Tanh, Targets, Tensor, Tokens,
};
use crate::random::{StandardNormal, below};
use crate::training::{AdamW, Momentum};

const OPTIMIZERS: [Optimizer; 4] = [
    Optimizer::Sgd(Sgd::new(0.01)),
    Optimizer::Momentum(DECAYING),
    Optimizer::Momentum(Momentum {
        nesterov: true,
        ..DECAYING
    }),
    Optimizer::AdamW(AdamW {
        weight_decay: 0.5,
        ..AdamW::new(0.01)
    }),
];

const DECAYING: Momentum = Momentum {
    weight_decay: 0.1,
    ..Momentum::new(0.01, 0.9)
};

/// Flat data of as many examples as a batch has, for any model.
struct Data {
    tokens: Drawn,
    features: Vec<f32>,
    classes: Drawn,
    values: Vec<f32>,
}

impl Data {
    fn draw(rng: &mut Xoshiro256PlusPlus, spec: ModelSpec, examples: usize) -> Self {
        let width = examples * spec.input.example_len();
        Self {
            tokens: Drawn::below(rng, width, spec.input.vocabulary()),
            features: numbers(rng, width),
            classes: Drawn::below(rng, examples, spec.head.classes()),
            values: numbers(rng, examples * spec.head.outputs),
        }
    }

    /// The first of the examples.
    fn batch(&self, spec: ModelSpec, examples: usize) -> Batch<'_> {
        let inputs = match spec.input.vocabulary() {
            0 => Inputs::Features(&self.features),
            vocabulary => Inputs::Tokens(self.tokens.of(vocabulary)),
        };
        let targets = match spec.head.classes() {
            0 => Targets::Values(&self.values),
            classes => Targets::Classes(self.classes.of(classes)),
        };
        Batch {
            len: examples,
            inputs: inputs.slice(spec, 0, examples),
            targets: targets.slice(spec, 0, examples),
            weights: Weights::even(examples),
        }
    }
}

/// Tokens or classes, in both widths.
struct Drawn {
    bytes: Vec<u8>,
    words: Vec<u16>,
}

impl Drawn {
    /// `len` numbers below `limit`; zeros if there are none.
    fn below(rng: &mut Xoshiro256PlusPlus, len: usize, limit: usize) -> Self {
        let limit = u32::try_from(limit.max(1)).unwrap();
        let draw = || u16::try_from(below(rng, limit)).unwrap();
        let words: Vec<u16> = core::iter::repeat_with(draw).take(len).collect();
        let bytes = words.iter().map(|word| word.to_le_bytes()[0]);
        Self {
            bytes: bytes.collect(),
            words,
        }
    }

    /// As a model with so many of them has them here: two bytes where one is not enough.
    fn of(&self, count: usize) -> Symbols<'_> {
        match count {
            0..=256 => Symbols::Bytes(&self.bytes),
            _ => Symbols::Words(&self.words),
        }
    }
}

fn numbers(rng: &mut Xoshiro256PlusPlus, len: usize) -> Vec<f32> {
    let mut normal = StandardNormal::default();
    let draw = || normal.sample(rng);
    core::iter::repeat_with(draw).take(len).collect()
}

/// The first float of a buffer that belongs to no tensor and is not zero.
fn stray(spec: ModelSpec, buffer: &Buffer) -> Option<(usize, f32)> {
    let mut is_padding = vec![true; buffer.floats().len()];
    for padded in padded_tensors(spec) {
        for row in 0..padded.tensor.rows {
            padded.row(row).for_each(|place| is_padding[place] = false);
        }
    }
    let floats = buffer.floats().iter().copied().enumerate();
    floats
        .filter(|&(place, _)| is_padding[place])
        .find(|&(_, value)| value != 0.0)
}

macro_rules! padding_stays_zero {
    ($($name:ident: $model:ty;)*) => {$(
        proptest! {
            #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) })]

            #[test]
            fn $name(
                seed: u64,
                examples in 1..=70_usize,
                optimizer in prop::sample::select(&OPTIMIZERS),
                clipping in prop::option::of(0.1..10.0_f32),
            ) {
                let spec = <$model>::SPEC;
                for backend in Backend::available() {
                    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
                    let model = <$model>::fan_in_scaled(&mut rng);
                    let mut engine = Engine::new(&model, backend).unwrap();
                    engine.set_moments(&vec![<$model>::zeroed(); optimizer.moments()]);
                    for step in 0..6 {
                        let data = Data::draw(&mut rng, spec, examples);
                        let (path, examples) = [(Path::Batch, examples), (Path::Example, 1)][step % 2];
                        let batch = data.batch(spec, examples);
                        engine.step::<$model>(batch, path, optimizer, clipping, step as u64).unwrap();
                        let kept = &engine.moments[..optimizer.moments()];
                        for buffer in [&engine.parameters, engine.gradients.whole()].into_iter().chain(kept) {
                            prop_assert_eq!(stray(spec, buffer), None, "step {} on {}", step, backend);
                        }
                    }
                }
            }
        }
    )*};
}

mod padding_stays_zero {
    use super::*;
    padding_stays_zero! {
        of_the_name_model: NameModel;
        of_one_neuron: Mlp<Tokens<2, 1, 1>, Tanh<1>, Softmax<2>>;
        of_seven_neurons: Mlp<Tokens<5, 2, 3>, Tanh<7>, Softmax<5>>;
        of_numbers_to_numbers: Mlp<Dense<17>, Tanh<7>, Regression<19>>;
        of_numbers_to_yes_or_no: Mlp<Dense<6>, Tanh<33>, Binary>;
        of_tokens_to_numbers: Mlp<Tokens<9, 2, 3>, Relu<17>, Regression<3, Huber>>;
        without_any: Mlp<Dense<16>, Relu<32>, Softmax<16>>;
        of_two_layers: Mlp<Tokens<9, 2, 3>, (Tanh<17>, Relu<5>), Softmax<4>>;
        of_activations_that_are_not_zero_at_zero: Mlp<Dense<6>, (Sigmoid<33>, Softplus<7>, Gelu<17>), Softmax<3>>;
        of_words: Mlp<Tokens<300, 2, 3, u16>, Silu<5>, Softmax<270, u16>>;
        of_four_layers: Mlp<Dense<3>, (Relu<1>, Tanh<33>, Tanh<16>, Relu<20>), Regression<2>>;
    }
}

#[test]
fn a_stray_number_is_found() {
    // What the property rests on: all floats outside the tensors are looked at, and only these.
    let spec = NameModel::SPEC;
    let vectors = spec.parameter_vectors();
    let mut padding = 0;
    for place in 0..vectors * LANES {
        let mut buffer = Buffer::zeroed(vectors);
        buffer.floats_mut()[place] = 1.0;
        padding += usize::from(stray(spec, &buffer) == Some((place, 1.0)));
    }
    let parameters: usize = spec.tensors().map(Tensor::len).sum();
    assert_eq!(parameters, 3_481);
    assert_eq!(padding, vectors * LANES - parameters);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    /// Blocks that several compute, each some in a row, and what they are left with added up in order, the last addition with the
    /// descent in it: the bits of one who computes all.
    #[test]
    fn partial_gradients_add_up_to_the_bits_of_the_whole(
        seed: u64,
        examples in 1..=1000_usize,
        cuts in prop::collection::vec(0..16_usize, 0..4),
        descends: bool,
    ) {
        type Model = Mlp<Tokens<5, 2, 3>, (Tanh<7>, Relu<17>), Softmax<5>>;
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let model = Model::fan_in_scaled(&mut rng);
        let parameters = padded(&model);
        let data = Data::draw(&mut rng, Model::SPEC, examples);
        let count = Blocks::of(examples).count();
        let mut bounds = vec![0, count];
        bounds.extend(cuts.into_iter().filter(|&cut| cut < count));
        bounds.sort_unstable();
        for backend in Backend::available().filter(|&backend| backend != Backend::SCALAR) {
            let task = Task {
                backend,
                parameters: parameters.vectors(),
                batch: data.batch(Model::SPEC, examples),
                gradient_use: if descends { GradientUse::descent(0.1) } else { GradientUse::Store },
            };
            let range = |blocks| {
                let mut gradients = Gradients::new(Model::SPEC);
                gradients.start(examples);
                let stored = gradients.add_blocks::<Model>(task, blocks, &mut Workspace::new(Model::SPEC));
                (gradients, stored)
            };
            let (whole, sum) = range(0..count);
            let mut added = Gradients::new(Model::SPEC);
            added.start(examples);
            let mut sum_of_added = 0.0;
            for bounds in bounds.windows(2) {
                let (mut partial, _) = range(bounds[0]..bounds[1]);
                sum_of_added = added.absorb(task, &mut partial, |combine| backend.run(combine));
            }
            prop_assert_eq!(added.loss().to_bits(), whole.loss().to_bits());
            prop_assert!(added.whole().floats() == whole.whole().floats());
            if descends && count > 1 {
                prop_assert_eq!(sum_of_added.to_bits(), sum.to_bits());
            }
        }
    }
}
