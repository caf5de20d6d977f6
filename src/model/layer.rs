//! The dense layers of a model as types, and the passes over them.

use core::marker::PhantomData;

use super::head::Head;
use super::hidden::HiddenLayer;
use super::input::Input;
use super::spec::LayerSpec;

/// A dense layer whose shape is known when the kernels are compiled, or when they run.
///
/// Layers of one shape and activation are one type, in one model or in several, so their kernels are compiled once.
pub trait Layer: Copy {
    /// The layer, if it is known at compile time.
    const FIXED: Option<LayerSpec>;

    /// The layer.
    fn get(self) -> LayerSpec;

    /// Whether it may be a hidden layer, and whether it may be the last one: both, if the shape is known only when kernels run.
    const MAY_BE_HIDDEN: bool = match Self::FIXED {
        Some(layer) => layer.activation.is_some(),
        None => true,
    };
    /// See [`MAY_BE_HIDDEN`](Layer::MAY_BE_HIDDEN).
    const MAY_BE_LAST: bool = match Self::FIXED {
        Some(layer) => layer.activation.is_none(),
        None => true,
    };
    /// Whether it may be [narrow](LayerSpec::is_narrow).
    const MAY_BE_NARROW: bool = match Self::FIXED {
        Some(layer) => layer.is_narrow(),
        None => true,
    };
    /// Whether it may be another.
    const MAY_BE_WIDE: bool = match Self::FIXED {
        Some(layer) => !layer.is_narrow(),
        None => true,
    };
}

impl Layer for LayerSpec {
    const FIXED: Option<LayerSpec> = None;

    #[inline(always)]
    fn get(self) -> LayerSpec {
        self
    }
}

/// A computation that goes through the layers one by one, first to last or last to first.
pub trait Pass {
    /// Goes through the next layer.
    fn layer<L: Layer>(&mut self, layer: L);
}

/// Declares a layer between two parts of a model's type.
macro_rules! layer {
    ($(#[$doc:meta])* $name:ident<$before:ident: $Before:ident, $after:ident: $After:ident>, $spec:ident) => {
        $(#[$doc])*
        pub(super) struct $name<$before, $after>(PhantomData<($before, $after)>);

        impl<$before, $after> $name<$before, $after> {
            pub(super) const LAYER: Self = Self(PhantomData);
        }

        impl<$before, $after> Clone for $name<$before, $after> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$before, $after> Copy for $name<$before, $after> {}

        impl<$before: $Before, $after: $After> Layer for $name<$before, $after> {
            const FIXED: Option<LayerSpec> = Some(LayerSpec::$spec($before::SPEC, $after::SPEC));

            #[inline(always)]
            fn get(self) -> LayerSpec {
                const { LayerSpec::$spec($before::SPEC, $after::SPEC) }
            }
        }
    };
}

layer!(
    /// Between the input and the first hidden neurons.
    First<I: Input, L: HiddenLayer>, first
);
layer!(
    /// Between two rows of hidden neurons.
    Between<A: HiddenLayer, B: HiddenLayer>, between
);
layer!(
    /// Between the last hidden neurons and the outputs.
    Last<L: HiddenLayer, H: Head>, last
);
