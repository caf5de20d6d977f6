//! A step that would make the model non-finite: refused, by the name of a tensor, with nothing changed.

use fused_mlp::{
    AdamW, Backend, Dense, Error, ExampleOf, Huber, Mlp, Model, Momentum, Optimizer, Regression,
    Relu, SeedableRng, Sgd, Softmax, Tanh, TargetOf, Tokens, Trainer, Xoshiro256PlusPlus,
};

use crate::support::{bits, bits_of};

/// Nearly the largest `f32`, 3.4e38: two steps of [`RATE`] beyond it is infinity.
const HUGE: f32 = 3e38;
const RATE: f32 = 1e38;

type Token = Mlp<Tokens<1, 1, 1>, Relu<1>, Regression<1>>;
type Number = Mlp<Dense<1>, Relu<1>, Regression<1>>;
type Saturated = Mlp<Dense<1>, Tanh<2>, Regression<1>>;
type Classes = Mlp<Dense<1>, Tanh<1>, Softmax<2>>;

/// A way to step on one example.
type Step<M> = fn(&mut Trainer<M>, &ExampleOf<M>, &TargetOf<M>) -> Result<f32, Error>;

fn ways<M: Model>() -> [Step<M>; 3] {
    [
        |trainer, input, target| trainer.step_one(input, target),
        |trainer, input, target| trainer.step(&[*input], &[*target]),
        |trainer, input, target| trainer.step(&[*input; 40], &[*target; 40]),
    ]
}

/// Asserts that a step on the example is refused on every backend, that `tensor` is named, and that nothing has changed.
fn assert_refused<M: Model>(
    model: &M,
    rate: f32,
    input: ExampleOf<M>,
    target: TargetOf<M>,
    tensor: &'static str,
) {
    for backend in Backend::available() {
        for step in ways() {
            let trainer = Trainer::new(model.clone(), Sgd::new(rate)).unwrap();
            let mut trainer = trainer.with_backend(backend);
            for _ in 0..2 {
                let result = step(&mut trainer, &input, &target);
                assert_eq!(
                    result,
                    Err(Error::NonFiniteStep { step: 0, tensor }),
                    "{backend}"
                );
                assert_eq!(bits_of(&trainer.model()), bits_of(model), "{backend}");
                assert_eq!(trainer.steps(), 0);
            }
        }
    }
}

/// The neuron's sum is HUGE and the output's bias takes it away again, so the output is 0, and with a target of ½ its derivative
/// −1. What carries HUGE moves away from zero by RATE times the numbers that it is multiplied with, all of them 1.
#[test]
fn an_embedding_that_overflows_is_named() {
    let mut model = Token::zeroed();
    model.input.embedding[0] = HUGE;
    model.input.weights[0][0] = 1.0;
    model.output.weights[0] = 1.0;
    model.output.bias[0] = -HUGE;
    assert_refused(&model, RATE, [0], [0.5], "embedding");
}

#[test]
fn hidden_weights_that_overflow_are_named() {
    let mut model = Number::zeroed();
    model.input.weights[0] = HUGE;
    model.output.weights[0] = 1.0;
    model.output.bias[0] = -HUGE;
    assert_refused(&model, RATE, [1.0], [0.5], "hidden_weights");
}

/// As above, but with an input of 0 that leaves the weights alone.
#[test]
fn a_hidden_bias_that_overflows_is_named() {
    let mut model = Number::zeroed();
    model.input.bias[0] = HUGE;
    model.output.weights[0] = 1.0;
    model.output.bias[0] = -HUGE;
    assert_refused(&model, RATE, [0.0], [0.5], "hidden_bias");
}

/// Two saturated neurons, whose derivative is 0, with weights that cancel.
#[test]
fn output_weights_that_overflow_are_named() {
    let mut model = Saturated::zeroed();
    model.input.bias.fill(20.0);
    model.output.weights[0] = HUGE;
    model.output.weights[1] = -HUGE;
    assert_refused(&model, RATE, [0.0], [0.5], "output_weights");
}

/// Equal logits of −HUGE; the one that is not the target has the derivative ½.
#[test]
fn an_output_bias_that_overflows_is_named() {
    let mut model = Classes::zeroed();
    model.output.bias.fill(-HUGE);
    assert_refused(&model, RATE, [0.0], 0, "output_bias");
}

/// An error of 1e30 has a finite derivative and the square infinity.
#[test]
fn a_loss_that_overflows_is_named() {
    let mut model = Number::zeroed();
    model.output.bias[0] = 1e30;
    assert_refused(&model, 1e-30, [0.0], [0.0], "loss");
}

/// HUGE · HUGE in the first layer, and infinity minus infinity after it.
#[test]
fn a_gradient_that_is_not_a_number_is_named() {
    let mut model = Number::zeroed();
    model.input.weights[0] = HUGE;
    model.output.weights[0] = 1.0;
    for input in [HUGE, -HUGE, 1e3] {
        model.input.weights[0] = HUGE.copysign(input);
        for backend in Backend::available() {
            for step in ways() {
                let trainer = Trainer::new(model.clone(), Sgd::new(0.0)).unwrap();
                let mut trainer = trainer.with_backend(backend);
                let result = step(&mut trainer, &[input], &[0.0]);
                assert!(
                    matches!(result, Err(Error::NonFiniteStep { step: 0, .. })),
                    "{backend}"
                );
                assert_eq!(bits_of(&trainer.model()), bits_of(&model), "{backend}");
            }
        }
    }
}

/// Finite parameters whose sum is not: a step is taken as it is where they are small.
#[test]
fn large_parameters_are_no_overflow() {
    type Idle = Mlp<Tokens<20, 1, 2>, Tanh<17>, Softmax<4>>;
    let small = Idle::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(1));
    let mut large = small.clone();
    large.input.embedding.as_mut_slice()[2..].fill(HUGE); // of tokens that do not occur
    for backend in Backend::available() {
        for step in ways() {
            let after = |model: &Idle| {
                let trainer = Trainer::new(model.clone(), Sgd::new(0.1)).unwrap();
                let mut trainer = trainer.with_backend(backend);
                let losses = [3, 1].map(|class| bits(step(&mut trainer, &[0], &class).unwrap()));
                (losses, trainer.model())
            };
            let (losses, mut model) = after(&large);
            let (expected_losses, expected) = after(&small);
            assert_eq!(losses, expected_losses, "{backend}");
            let idle = &mut model.input.embedding.as_mut_slice()[2..];
            assert!(idle.iter().all(|&value| value == HUGE), "{backend}");
            idle.copy_from_slice(&expected.input.embedding.as_slice()[2..]);
            assert_eq!(bits_of(&model), bits_of(&expected), "{backend}");
        }
    }
}

type Curve = Mlp<Dense<2>, Tanh<20>, Regression<1>>;

fn optimizers() -> [Optimizer; 4] {
    [
        Sgd::new(0.01).into(),
        Momentum::new(0.01, 0.9).into(),
        Momentum {
            nesterov: true,
            weight_decay: 0.1,
            ..Momentum::new(0.01, 0.9)
        }
        .into(),
        AdamW::new(0.01).into(),
    ]
}

/// Good steps, with or without a bad one in their midst, end on the same bits: neither parameters, nor what the optimizer
/// remembers, nor the number of the step keep a trace of it.
#[test]
fn a_refused_step_leaves_no_trace_in_the_steps_after_it() {
    let good = |trainer: &mut Trainer<Curve>| {
        let losses = [0.3, -0.7, 0.9].map(|x| trainer.step(&[[x, 0.1]; 33], &[[x * x]; 33]));
        losses.map(|loss| bits(loss.unwrap()))
    };
    for backend in Backend::available() {
        for optimizer in optimizers() {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
            let model = Curve::fan_in_scaled(&mut rng);
            let mut smooth = Trainer::new(model, optimizer)
                .unwrap()
                .with_backend(backend);
            let mut rough = smooth.clone();
            for round in 0..3 {
                let losses = good(&mut smooth);
                let result = rough.step(&[[HUGE, -HUGE]; 5], &[[HUGE]; 5]);
                let step = 3 * round;
                assert!(
                    matches!(result, Err(Error::NonFiniteStep { step: s, .. }) if s == step),
                    "{optimizer:?} on {backend}: {result:?}"
                );
                assert!(rough.step_one(&[HUGE, HUGE], &[-HUGE]).is_err());
                assert!(rough.step(&[[f32::NAN, 0.0]], &[[0.0]]).is_err());
                assert_eq!(good(&mut rough), losses, "{optimizer:?} on {backend}");
                assert_eq!(bits_of(&rough.model()), bits_of(&smooth.model()));
            }
            assert_eq!((rough.steps(), smooth.steps()), (9, 9));
        }
    }
}

#[test]
fn the_step_that_is_refused_is_counted_from_0() {
    let mut trainer = Trainer::new(Number::zeroed(), Sgd::new(0.1)).unwrap();
    for _ in 0..7 {
        trainer.step(&[[1.0]], &[[0.0]]).unwrap();
    }
    let error = trainer.step(&[[1.0]], &[[HUGE]]).unwrap_err();
    assert!(matches!(error, Error::NonFiniteStep { step: 7, .. }));
    let message = error.to_string();
    for part in ["step 7", "non-finite", "left as it was"] {
        assert!(message.contains(part), "{message}");
    }
}

/// A gradient of 1e25 is finite, and so would the new parameters be; its square, which `AdamW` remembers, is not.
#[test]
fn a_memory_that_would_overflow_is_refused_too() {
    type Line = Mlp<Dense<1>, Relu<1>, Regression<1, Huber>>;
    let mut model = Line::zeroed();
    model.input.weights[0] = 1.0;
    model.output.weights[0] = 1.0;
    for backend in Backend::available() {
        let trainer = Trainer::new(model.clone(), AdamW::new(0.01)).unwrap();
        let mut trainer = trainer.with_backend(backend);
        let result = trainer.step(&[[1e25]], &[[0.0]]);
        assert!(
            matches!(result, Err(Error::NonFiniteStep { .. })),
            "{backend}: {result:?}"
        );
        assert_eq!(bits_of(&trainer.model()), bits_of(&model));
        trainer.step(&[[1.0]], &[[0.0]]).unwrap();
        assert!(
            trainer.model().output.weights[0] < 1.0,
            "{backend} learns on"
        );
    }
}

/// Weight decay alone can overflow, with no gradient at all.
#[test]
fn the_tensor_is_named_where_weight_decay_makes_the_step() {
    let mut model = Number::zeroed();
    model.input.weights[0] = 1e3;
    let weight_decay = 1.0;
    let momentum = Momentum {
        weight_decay,
        ..Momentum::new(RATE, 0.0)
    };
    let adam_w = AdamW {
        weight_decay,
        ..AdamW::new(RATE)
    };
    for optimizer in [Optimizer::from(momentum), adam_w.into()] {
        let mut trainer = Trainer::new(model.clone(), optimizer).unwrap();
        let (step, tensor) = (0, "hidden_weights");
        let expected = Err(Error::NonFiniteStep { step, tensor });
        assert_eq!(trainer.step(&[[0.0]], &[[0.0]]), expected, "{optimizer:?}");
        assert_eq!(bits_of(&trainer.model()), bits_of(&model));
    }
}
