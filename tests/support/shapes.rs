//! Models of many shapes, and random batches for any of them.

use fused_mlp::architecture::{Activation, Head, Input, RegressionLoss};
use fused_mlp::random::{StandardNormal, below};
use fused_mlp::{
    Binary, Dense, Mlp, Model, Regression, SeedableRng, Softmax, Tokens,
    Xoshiro256PlusPlus as Xoshiro,
};

/// Calls a macro with a name and a model type for each of: widths around the sixteen lanes and the
/// tiles of the kernels, contexts of 1 to 8 tokens, vocabularies from the smallest to the largest, both inputs, heads and
/// activations.
macro_rules! for_every_shape {
    ($test:ident) => {
        $test! { one_neuron: Mlp<Tokens<2, 1, 1>, 1, Softmax<2>> }
        $test! { seven_neurons: Mlp<Tokens<5, 2, 3>, 7, Softmax<5>> }
        $test! { the_name_model: NameModel }
        $test! { a_context_of_four: Mlp<Tokens<16, 4, 1>, 16, Softmax<16>> }
        $test! { a_context_of_five: Mlp<Tokens<3, 5, 2>, 100, Softmax<17>> }
        $test! { a_context_of_six: Mlp<Tokens<27, 6, 16>, 16, Softmax<33>, Relu> }
        $test! { a_context_of_seven: Mlp<Tokens<10, 7, 5>, 1, Softmax<3>> }
        $test! { a_context_of_eight: Mlp<Tokens<27, 8, 10>, 200, Softmax<27>> }
        $test! { every_byte_a_token: Mlp<Tokens<256, 3, 4>, 7, Softmax<256>> }
        $test! { tokens_to_numbers: Mlp<Tokens<27, 3, 2>, 100, Regression<2>> }
        $test! { one_number_to_one: Mlp<Dense<1>, 1, Regression<1>> }
        $test! { numbers_to_one: Mlp<Dense<8>, 64, Regression<1>, Relu> }
        $test! { numbers_to_numbers: Mlp<Dense<17>, 7, Regression<19>> }
        $test! { numbers_to_classes: Mlp<Dense<4>, 200, Softmax<10>, Relu> }
        $test! { numbers_to_yes_or_no: Mlp<Dense<6>, 33, Binary> }
        $test! { more_neurons_than_a_block: Mlp<Dense<3>, 258, Regression<2>> }
        $test! { more_outputs_than_a_block: Mlp<Dense<2>, 5, Regression<257, Huber>> }
        $test! { tokens_to_numbers_by_huber: Mlp<Tokens<9, 2, 3>, 16, Regression<3, Huber>, Relu> }
    };
}
pub(crate) use for_every_shape;

/// An input kind that random examples can be drawn for.
pub(crate) trait RandomInput: Input {
    fn draw(rng: &mut Random) -> Self::Example;
}

impl<const VOCAB: usize, const CONTEXT: usize, const EMBED: usize> RandomInput
    for Tokens<VOCAB, CONTEXT, EMBED>
{
    fn draw(rng: &mut Random) -> [u8; CONTEXT] {
        [(); CONTEXT].map(|()| rng.below(VOCAB))
    }
}

impl<const FEATURES: usize> RandomInput for Dense<FEATURES> {
    fn draw(rng: &mut Random) -> [f32; FEATURES] {
        [(); FEATURES].map(|()| rng.number())
    }
}

/// A head that random targets can be drawn for.
pub(crate) trait RandomHead: Head {
    fn draw(rng: &mut Random) -> Self::Target;
}

impl<const CLASSES: usize> RandomHead for Softmax<CLASSES> {
    fn draw(rng: &mut Random) -> u8 {
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
        rng.below(2) == 1
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

    fn below(&mut self, n: usize) -> u8 {
        let n = u32::try_from(n).expect("at most 256");
        u8::try_from(below(&mut self.rng, n)).expect("at most 255")
    }

    pub(crate) fn number(&mut self) -> f32 {
        let normal = self.normal.sample(&mut self.rng);
        match self.numbers {
            Numbers::Normal => normal,
            Numbers::Multiples(unit) => (normal.clamp(-4.0, 4.0) / unit).round() * unit,
            Numbers::Tiny => match self.below(8) {
                0 => 0.0,
                1 => -0.0,
                2 => normal * 1e-40,
                3 => normal * 1e-30,
                4 => f32::MIN_POSITIVE.copysign(normal),
                _ => normal,
            },
            Numbers::Huge => match self.below(40) {
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
pub(crate) struct Case<I: RandomInput, const HIDDEN: usize, O: RandomHead, A: Activation> {
    pub(crate) model: Mlp<I, HIDDEN, O, A>,
    pub(crate) inputs: Vec<I::Example>,
    pub(crate) targets: Vec<O::Target>,
}

impl<I: RandomInput, const HIDDEN: usize, O: RandomHead, A: Activation> Case<I, HIDDEN, O, A> {
    /// Parameters of these numbers, in storage order, and then `len` examples.
    pub(crate) fn new(seed: u64, len: usize, numbers: Numbers) -> Self {
        let mut random = Random::new(seed, numbers);
        let mut model = Mlp::zeroed();
        model.visit_mut(&mut |_, values| values.fill_with(|| random.number()));
        Self::with_model(model, &mut random, len)
    }

    /// A model as training starts from it, and `len` examples of N(0, 1).
    pub(crate) fn fan_in_scaled(seed: u64, len: usize) -> Self {
        let mut random = Random::new(seed, Numbers::Normal);
        let model = Mlp::fan_in_scaled(&mut random.rng);
        Self::with_model(model, &mut random, len)
    }

    fn with_model(model: Mlp<I, HIDDEN, O, A>, random: &mut Random, len: usize) -> Self {
        Self {
            model,
            inputs: (0..len).map(|_| I::draw(random)).collect(),
            targets: (0..len).map(|_| O::draw(random)).collect(),
        }
    }
}
