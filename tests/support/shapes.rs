//! Models of many shapes, and random batches for any of them.

use std::any::type_name;

use fused_mlp::model::{
    Activation, Head, HiddenLayers, Input, RegressionLoss, Role, Symbol, Tensor,
};
use fused_mlp::random::{StandardNormal, below};
use fused_mlp::{
    Backend, Binary, Dense, Mlp, Model, Regression, SeedableRng, Softmax, Tanh, Tokens,
    Xoshiro256PlusPlus as Xoshiro, math,
};

/// Calls a macro with a name and a model type for each of: widths around the sixteen lanes and the
/// tiles of the kernels, contexts of 1 to 8 tokens, vocabularies from the smallest to the largest, both inputs, heads and
/// activations.
macro_rules! for_every_shape {
    ($test:ident) => {
        $test! { one_neuron: Mlp<Tokens<2, 1, 1>, Tanh<1>, Softmax<2>> }
        $test! { the_name_model: NameModel }
        $test! { a_context_of_six: Mlp<Tokens<27, 6, 16>, Relu<16>, Softmax<33>> }
        $test! { a_context_of_eight: Mlp<Tokens<27, 8, 10>, Tanh<200>, Softmax<27>> }
        $test! { words: Mlp<Tokens<300, 3, 4, u16>, Tanh<17>, Softmax<290, u16>> }
        $test! { tokens_to_numbers: Mlp<Tokens<27, 3, 2>, Tanh<100>, Regression<2>> }
        $test! { numbers_to_one: Mlp<Dense<8>, Relu<64>, Regression<1>> }
        $test! { numbers_to_numbers: Mlp<Dense<17>, Tanh<7>, Regression<19>> }
        $test! { numbers_to_classes: Mlp<Dense<4>, Relu<200>, Softmax<10>> }
        $test! { numbers_to_yes_or_no: Mlp<Dense<6>, Tanh<33>, Binary> }
        $test! { more_neurons_than_a_block: Mlp<Dense<3>, Tanh<258>, Regression<2>> }
        $test! { more_outputs_than_a_block: Mlp<Dense<2>, Tanh<5>, Regression<257, Huber>> }
        $test! { two_layers: Mlp<Dense<4>, (Tanh<64>, Tanh<64>), Softmax<2>> }
        $test! { three_mixed_layers: Mlp<Tokens<9, 3, 2>, (Silu<33>, Tanh<17>, LeakyRelu<16>), Softmax<9>> }
        $test! { four_layers: Mlp<Dense<8>, (Gelu<17>, Relu<1>, Softplus<40>, Sigmoid<7>), Regression<1, Huber>> }
        $test! {
            eight_layers:
            Mlp<Tokens<5, 2, 3>, (Tanh<20>, ClippedRelu<17>, Silu<16>, Relu<33>, Tanh<1>, Gelu<5>, Relu<18>, Tanh<9>), Binary>
        }
        $crate::support::shapes::for_more_shapes! { $test }
    };
}
pub(crate) use for_every_shape;

/// Shapes that are run in the form for all shapes alone, with debug assertions: each kernel that a release build has for its own costs
/// seconds to compile. With `--cfg every_shape` a release build has them too.
#[cfg(any(debug_assertions, every_shape))]
macro_rules! for_more_shapes {
    ($test:ident) => {
        $test! { seven_neurons: Mlp<Tokens<5, 2, 3>, Tanh<7>, Softmax<5>> }
        $test! { a_context_of_four: Mlp<Tokens<16, 4, 1>, Tanh<16>, Softmax<16>> }
        $test! { a_context_of_five: Mlp<Tokens<3, 5, 2>, Tanh<100>, Softmax<17>> }
        $test! { a_context_of_seven: Mlp<Tokens<10, 7, 5>, Tanh<1>, Softmax<3>> }
        $test! { every_byte_a_token: Mlp<Tokens<256, 3, 4>, Tanh<7>, Softmax<256>> }
        $test! { one_number_to_one: Mlp<Dense<1>, Tanh<1>, Regression<1>> }
        $test! { tokens_to_numbers_by_huber: Mlp<Tokens<9, 2, 3>, Relu<16>, Regression<3, Huber>> }
        $test! { a_layer_of_leaky_relu: Mlp<Dense<5>, LeakyRelu<33>, Regression<2>> }
        $test! { a_layer_of_clipped_relu: Mlp<Tokens<9, 3, 2>, ClippedRelu<17>, Softmax<4>> }
        $test! { a_layer_of_sigmoid: Mlp<Dense<17>, Sigmoid<20>, Softmax<3>> }
        $test! { a_layer_of_silu: Mlp<Tokens<5, 2, 3>, Silu<40>, Regression<1>> }
        $test! { a_layer_of_gelu: Mlp<Dense<8>, Gelu<64>, Binary> }
        $test! { a_layer_of_softplus: Mlp<Dense<3>, Softplus<7>, Regression<3, Huber>> }
        $test! { few_words: Mlp<Tokens<9, 2, 3, u16>, Relu<7>, Softmax<5, u16>> }
        $test! { words_to_letters: Mlp<Tokens<2000, 2, 2, u16>, Tanh<5>, Softmax<27>> }
        $test! { letters_to_words: Mlp<Tokens<27, 2, 2>, Tanh<5>, Softmax<1000, u16>> }
        $test! { two_layers_of_relu: Mlp<Dense<8>, (Relu<120>, Relu<84>), Regression<4>> }
        $test! { two_layers_of_one_neuron: Mlp<Dense<1>, (Tanh<1>, Tanh<1>), Regression<1>> }
        $test! { two_wide_layers: Mlp<Tokens<27, 3, 2>, (Tanh<200>, Relu<258>), Softmax<27>> }
        $test! { three_layers: Mlp<Dense<6>, (Tanh<17>, Tanh<17>, Tanh<17>), Binary> }
        $test! { five_layers: Mlp<Tokens<3, 2, 1>, (Relu<7>, Tanh<32>, Relu<15>, Tanh<48>, Tanh<2>), Softmax<4>> }
        $test! { six_layers: Mlp<Dense<3>, (Tanh<5>, Tanh<31>, Relu<16>, Tanh<1>, Relu<65>, Tanh<4>), Regression<3>> }
        $test! {
            seven_layers:
            Mlp<Dense<2>, (Relu<9>, Relu<17>, Tanh<1>, Tanh<24>, Relu<32>, Tanh<6>, Relu<10>), Regression<17>>
        }
    };
}
#[cfg(not(any(debug_assertions, every_shape)))]
macro_rules! for_more_shapes {
    ($test:ident) => {};
}
pub(crate) use for_more_shapes;

/// An input kind that random examples can be drawn for.
pub(crate) trait RandomInput: Input {
    fn draw(rng: &mut Random) -> Self::Example;

    /// The tokens of an input that has some.
    fn tokens(_: &Self::Example) -> Vec<usize> {
        Vec::new()
    }

    /// The features of an input that has some.
    fn features(_: &Self::Example) -> &[f32] {
        &[]
    }
}

impl<const VOCAB: usize, const CONTEXT: usize, const EMBED: usize, T: Symbol> RandomInput
    for Tokens<VOCAB, CONTEXT, EMBED, T>
{
    fn draw(rng: &mut Random) -> [T; CONTEXT] {
        [(); CONTEXT].map(|()| rng.below(VOCAB))
    }

    fn tokens(input: &[T; CONTEXT]) -> Vec<usize> {
        input.iter().map(|&token| token.into()).collect()
    }
}

impl<const FEATURES: usize> RandomInput for Dense<FEATURES> {
    fn draw(rng: &mut Random) -> [f32; FEATURES] {
        [(); FEATURES].map(|()| rng.number())
    }

    fn features(input: &[f32; FEATURES]) -> &[f32] {
        input
    }
}

/// A head that random targets can be drawn for.
pub(crate) trait RandomHead: Head {
    fn draw(rng: &mut Random) -> Self::Target;
}

impl<const CLASSES: usize, C: Symbol> RandomHead for Softmax<CLASSES, C>
where
    Self: Head<Target = C>,
{
    fn draw(rng: &mut Random) -> C {
        rng.below(CLASSES)
    }
}

impl<const OUTPUTS: usize, L: RegressionLoss> RandomHead for Regression<OUTPUTS, L> {
    fn draw(rng: &mut Random) -> [f32; OUTPUTS] {
        [(); OUTPUTS].map(|()| rng.number())
    }
}

impl RandomHead for Binary {
    fn draw(rng: &mut Random) -> bool {
        rng.below::<u8>(2) == 1
    }
}

/// Draws tokens, classes, and numbers of one kind.
pub(crate) struct Random {
    pub(crate) rng: Xoshiro,
    normal: StandardNormal,
    numbers: Numbers,
}

/// What numbers are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Numbers {
    /// N(0, 1).
    Normal,
    /// N(0, 1) cut at ±4 and rounded to a multiple of this power of two.
    ///
    /// Sums of products of such numbers are exact in `f32`, so that whether a ReLU neuron fires is not a matter of rounding.
    Multiples(f32),
    /// N(0, 1) among zeros of both signs, subnormals, and numbers whose products are subnormal or zero.
    Tiny,
    /// Those, among numbers whose products and sums overflow.
    Huge,
}

impl Random {
    pub(crate) fn new(seed: u64, numbers: Numbers) -> Self {
        Self {
            rng: Xoshiro::seed_from_u64(seed),
            normal: StandardNormal::default(),
            numbers,
        }
    }

    fn below<T: Symbol>(&mut self, n: usize) -> T {
        let n = u32::try_from(n).expect("at most 65,536");
        let drawn = T::try_from(below(&mut self.rng, n) as usize);
        drawn.unwrap_or_else(|_| panic!("a symbol of this type is below {}", T::COUNT))
    }

    pub(crate) fn number(&mut self) -> f32 {
        let normal = self.normal.sample(&mut self.rng);
        match self.numbers {
            Numbers::Normal => normal,
            Numbers::Multiples(unit) => (normal.clamp(-4.0, 4.0) / unit).round() * unit,
            Numbers::Tiny => match self.below::<u8>(8) {
                0 => 0.0,
                1 => -0.0,
                2 => normal * 1e-40,
                3 => normal * 1e-30,
                4 => f32::MIN_POSITIVE.copysign(normal),
                _ => normal,
            },
            Numbers::Huge => match self.below::<u8>(40) {
                0..=4 => 0.0_f32.copysign(normal),
                5 => normal * 1e30,
                6 => f32::MAX.copysign(normal),
                7 => normal * 1e-40,
                _ => normal,
            },
        }
    }
}

/// A model with a batch for it.
#[derive(Debug, Clone)]
pub(crate) struct Case<I: RandomInput, L: HiddenLayers, O: RandomHead> {
    pub(crate) model: Mlp<I, L, O>,
    pub(crate) inputs: Vec<I::Example>,
    pub(crate) targets: Vec<O::Target>,
}

impl<I: RandomInput, L: HiddenLayers, O: RandomHead> Case<I, L, O> {
    /// Parameters of these numbers, in storage order, and then `len` examples.
    pub(crate) fn new(seed: u64, len: usize, numbers: Numbers) -> Self {
        let mut random = Random::new(seed, numbers);
        let mut model = Mlp::zeroed();
        for (_, values) in model.tensors_mut() {
            values.fill_with(|| random.number());
        }
        Self::with_model(model, &mut random, len)
    }

    /// A model as training starts from it, and `len` examples of N(0, 1).
    pub(crate) fn fan_in_scaled(seed: u64, len: usize) -> Self {
        let mut random = Random::new(seed, Numbers::Normal);
        let model = Mlp::fan_in_scaled(&mut random.rng);
        Self::with_model(model, &mut random, len)
    }

    /// The same with `change` made to the model, and every input that brings the sum of a neuron near a kink of its activation,
    /// closer than this share of its terms, drawn anew; and if that does not help, as there may be few different inputs, the model too.
    ///
    /// On which side of its kink such a neuron is, would be a matter of rounding.
    pub(crate) fn off_the_kinks(
        seed: u64,
        len: usize,
        numbers: Numbers,
        margin: f64,
        change: impl Fn(&mut Mlp<I, L, O>),
    ) -> Self {
        let mut random = Random::new(!seed, numbers);
        'model: for attempt in 0..100 {
            let mut case = Self::new(seed.wrapping_add(attempt), len, numbers);
            change(&mut case.model);
            for input in &mut case.inputs {
                let mut redraws = 0..100;
                while kink_distance(&case.model, input) < margin {
                    if redraws.next().is_none() {
                        continue 'model;
                    }
                    *input = I::draw(&mut random);
                }
            }
            return case;
        }
        panic!("a hundred models have a sum near a kink for every input");
    }

    fn with_model(model: Mlp<I, L, O>, random: &mut Random, len: usize) -> Self {
        Self {
            model,
            inputs: (0..len).map(|_| I::draw(random)).collect(),
            targets: (0..len).map(|_| O::draw(random)).collect(),
        }
    }
}

/// The activations of hidden layers, first to last, as the type's name tells.
pub(crate) fn activations<L: HiddenLayers>() -> Vec<Activation> {
    let layers = type_name::<L>()
        .split("::")
        .filter_map(|part| part.split_once('<'));
    layers
        .map(|(name, _)| {
            let mut all = Activation::ALL.iter();
            let found = all
                .find(|activation| activation.name().replace('_', "") == name.to_ascii_lowercase());
            *found.expect("an activation is named as its type")
        })
        .collect()
}

/// Where the derivative of an activation jumps.
pub(crate) fn kinks(activation: Activation) -> &'static [f64] {
    match activation {
        Activation::RELU | Activation::LEAKY_RELU => &[0.0],
        Activation::CLIPPED_RELU => &[0.0, 1.0],
        _ => &[],
    }
}

/// The smallest |z − kink| / Σ |terms of z| over the neurons of a model whose activation has kinks; infinite without such neurons.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding an activation to f32 matters little to the margin"
)]
fn kink_distance<I: RandomInput, L: HiddenLayers, O: RandomHead>(
    model: &Mlp<I, L, O>,
    input: &I::Example,
) -> f64 {
    let tensors: Vec<(Tensor, &[f32])> = model.tensors().collect();
    let values_of = |layer, role| {
        let found = tensors
            .iter()
            .find(|(tensor, _)| (tensor.layer, tensor.role) == (layer, role));
        found.map(|(_, values)| *values)
    };
    let mut inputs: Vec<f64> = match values_of(0, Role::Embedding) {
        Some(table) => I::tokens(input)
            .iter()
            .flat_map(|&token| {
                let width = tensors[0].0.columns;
                table[token * width..][..width].to_vec()
            })
            .map(f64::from)
            .collect(),
        None => I::features(input).iter().copied().map(f64::from).collect(),
    };
    let mut distance = f64::INFINITY;
    for (layer, activation) in activations::<L>().into_iter().enumerate() {
        let weights = values_of(layer, Role::Weights).expect("a layer has weights");
        let bias = values_of(layer, Role::Bias).expect("a layer has a bias");
        let neurons = bias.len();
        let sums = bias.iter().enumerate().map(|(n, &bias)| {
            let terms = inputs.iter().enumerate();
            let terms = terms.map(|(i, input)| input * f64::from(weights[i * neurons + n]));
            terms.fold(
                (f64::from(bias), f64::from(bias).abs()),
                |(z, size), term| (z + term, size + term.abs()),
            )
        });
        let mut values = Vec::new();
        for (z, size) in sums {
            for kink in kinks(activation) {
                let share = if size > 0.0 {
                    (z - kink).abs() / size
                } else {
                    0.0
                };
                distance = distance.min(share);
            }
            values.push(z as f32);
        }
        math::activation(Backend::SCALAR, activation, &mut values);
        inputs = values.into_iter().map(f64::from).collect();
    }
    distance
}
