//! Hidden layers: an activation with its width, or a tuple of them.

use core::fmt::Debug;

use super::activation::{ActivationKind, for_every_activation};
use super::head::Head;
use super::input::Input;
use super::layer::{Between, First, Last, Pass};
use super::parameters::{DenseLayer, Parameters};
use super::sealed::Sealed;
use super::spec::HiddenSpec;

/// One hidden layer: neurons with an [activation](super::Activation).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a hidden layer",
    note = "a hidden layer is `Tanh<NEURONS>`, `Relu<NEURONS>`, or another activation with its width"
)]
pub trait HiddenLayer: Sealed + Debug + Clone + Copy + Send + Sync + 'static {
    #[doc(hidden)]
    const SPEC: HiddenSpec;

    /// The parameters between an input and this layer, as the first.
    type First<I: Input>: Parameters;
    /// The parameters between this layer, as the last, and the outputs.
    type Last<H: Head>: Parameters;
    /// The parameters between this layer and the hidden layer after it.
    type Then<L: HiddenLayer>: Parameters;
    /// The parameters between `INPUTS` neurons and this layer.
    type After<const INPUTS: usize>: Parameters;

    /// One example's activations of this layer.
    #[doc(hidden)]
    type Activations: AsMut<[f32]>;
    #[doc(hidden)]
    fn blank() -> Self::Activations;
}

/// The hidden layers of a model: one [`HiddenLayer`], or a tuple of two to eight of them, first to last.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a hidden layer, nor a tuple of two to eight of them",
    note = "the second parameter of `Mlp` is `Tanh<NEURONS>` or the like, or a tuple such as `(Tanh<64>, Relu<32>)`"
)]
pub trait HiddenLayers: Sealed + Debug + Clone + Copy + Send + Sync + 'static {
    /// The parameters between the input and the first hidden layer.
    type First<I: Input>: Parameters;
    /// The parameters between each hidden layer and the next: a tuple, empty for one hidden layer.
    type Between: Parameters;
    /// The parameters between the last hidden layer and the outputs.
    type Last<H: Head>: Parameters;

    #[doc(hidden)]
    const LAYERS: &'static [HiddenSpec];

    /// Goes through all layers, first to last. Written out for each number of layers: a model compiles its own and no more.
    #[doc(hidden)]
    fn forward<I: Input, H: Head>(pass: &mut impl Pass);
    /// Goes through all layers, last to first.
    #[doc(hidden)]
    fn backward<I: Input, H: Head>(pass: &mut impl Pass);
    /// Calls `work` with scratch on the stack for one example's activations of each hidden layer.
    #[doc(hidden)]
    fn with_activations<R>(work: impl FnOnce(&mut [&mut [f32]]) -> R) -> R;
}

#[diagnostic::do_not_recommend] // the message of `HiddenLayers` names tuples too
impl<L: HiddenLayer> HiddenLayers for L {
    type First<I: Input> = L::First<I>;
    type Between = ();
    type Last<H: Head> = L::Last<H>;

    const LAYERS: &'static [HiddenSpec] = &[L::SPEC];

    #[inline(always)]
    fn forward<I: Input, H: Head>(pass: &mut impl Pass) {
        pass.layer(First::<I, L>::LAYER);
        pass.layer(Last::<L, H>::LAYER);
    }

    #[inline(always)]
    fn backward<I: Input, H: Head>(pass: &mut impl Pass) {
        pass.layer(Last::<L, H>::LAYER);
        pass.layer(First::<I, L>::LAYER);
    }

    #[inline(always)]
    fn with_activations<R>(work: impl FnOnce(&mut [&mut [f32]]) -> R) -> R {
        work(&mut [L::blank().as_mut()])
    }
}

/// Tuples of hidden layers: the first, the last, and each layer with the one after it, in order and in reverse.
macro_rules! hidden_layers {
    (
        ($($layer:ident),*): $first:ident .. $last:ident,
        $($before:ident => $after:ident),*; $($reverse_before:ident => $reverse_after:ident),*
    ) => {
        impl<$($layer: HiddenLayer),*> HiddenLayers for ($($layer),*) {
            type First<I: Input> = $first::First<I>;
            type Between = ($($before::Then<$after>,)*);
            type Last<Hd: Head> = $last::Last<Hd>;

            const LAYERS: &'static [HiddenSpec] = &[$($layer::SPEC),*];

            #[inline(always)]
            fn forward<I: Input, Hd: Head>(pass: &mut impl Pass) {
                pass.layer(First::<I, $first>::LAYER);
                $(pass.layer(Between::<$before, $after>::LAYER);)*
                pass.layer(Last::<$last, Hd>::LAYER);
            }

            #[inline(always)]
            fn backward<I: Input, Hd: Head>(pass: &mut impl Pass) {
                pass.layer(Last::<$last, Hd>::LAYER);
                $(pass.layer(Between::<$reverse_before, $reverse_after>::LAYER);)*
                pass.layer(First::<I, $first>::LAYER);
            }

            #[inline(always)]
            fn with_activations<R>(work: impl FnOnce(&mut [&mut [f32]]) -> R) -> R {
                work(&mut [$($layer::blank().as_mut()),*])
            }
        }
    };
}

hidden_layers!((A, B): A .. B, A => B; A => B);
hidden_layers!((A, B, C): A .. C, A => B, B => C; B => C, A => B);
hidden_layers!((A, B, C, D): A .. D, A => B, B => C, C => D; C => D, B => C, A => B);
hidden_layers!((A, B, C, D, E): A .. E, A => B, B => C, C => D, D => E; D => E, C => D, B => C, A => B);
hidden_layers!(
    (A, B, C, D, E, F): A .. F,
    A => B, B => C, C => D, D => E, E => F; E => F, D => E, C => D, B => C, A => B
);
hidden_layers!(
    (A, B, C, D, E, F, G): A .. G,
    A => B, B => C, C => D, D => E, E => F, F => G; F => G, E => F, D => E, C => D, B => C, A => B
);
hidden_layers!(
    (A, B, C, D, E, F, G, H): A .. H,
    A => B, B => C, C => D, D => E, E => F, F => G, G => H; G => H, F => G, E => F, D => E, C => D, B => C, A => B
);

/// Declares the activations: types that carry the width of their layer.
macro_rules! activations {
    ($($(#[$doc:meta])* $Type:ident, $CONSTANT:ident, $name:ident, $max_ulp:literal, $kept:ident;)*) => {$(
        /// `NEURONS` neurons with one activation.
        ///
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $Type<const NEURONS: usize>;

        impl<const NEURONS: usize> Sealed for $Type<NEURONS> {}
        impl<const NEURONS: usize> HiddenLayer for $Type<NEURONS> {
            const SPEC: HiddenSpec = {
                assert!(NEURONS > 0, "a hidden layer needs at least one neuron");
                HiddenSpec {
                    width: NEURONS,
                    activation: ActivationKind::$Type,
                }
            };

            type First<I: Input> = I::Layer<NEURONS>;
            type Last<H: Head> = H::Layer<NEURONS>;
            type Then<L: HiddenLayer> = L::After<NEURONS>;
            type After<const INPUTS: usize> = DenseLayer<INPUTS, NEURONS>;

            type Activations = [f32; NEURONS];
            #[inline(always)]
            fn blank() -> [f32; NEURONS] {
                [0.0; NEURONS]
            }
        }
    )*};
}
for_every_activation!(activations);
