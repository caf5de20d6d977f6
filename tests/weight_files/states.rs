//! A run that is saved, loaded and continued is the unbroken run, to the bit.

use fused_mlp::weights::{self, Keys};
use fused_mlp::{
    AdamW, Corpus, Dataset, EarlyStopping, Minibatch, Momentum, NameModel, Optimizer, Plateau,
    SeedableRng, Sgd, Trainer, TrainingState, Vocabulary, Xoshiro256PlusPlus,
};
use proptest::prelude::*;

use crate::file::Small;
use crate::models::name_model;
use crate::on_disk::Folder;
use crate::support::{bits_of, config};

const REGRESSIONS: &str = "tests/proptest-regressions/weight_files.txt";

fn optimizers() -> [Optimizer; 4] {
    let momentum = Momentum::new(0.05, 0.9);
    [
        Sgd::new(0.1).into(),
        momentum.into(),
        Momentum {
            nesterov: true,
            weight_decay: 1e-3,
            ..momentum
        }
        .into(),
        AdamW::new(0.003).into(),
    ]
}

fn steps(
    trainer: &mut Trainer<NameModel>,
    train: &Dataset<[u8; 3], u8>,
    generator: &mut Xoshiro256PlusPlus,
) {
    let mut batch = Minibatch::new(32);
    for _ in 0..20 {
        train.draw(generator, &mut batch);
        trainer.step_batch(&batch).unwrap();
    }
}

/// The bits of all numbers for each parameter.
fn bits(state: &TrainingState<NameModel>) -> Vec<Vec<u32>> {
    [&state.model]
        .into_iter()
        .chain(&state.moments)
        .map(bits_of)
        .collect()
}

#[test]
fn a_run_goes_on_from_its_file_to_the_bit() {
    let train = Corpus::sample()
        .windows::<3>(&Vocabulary::lowercase())
        .unwrap();
    let folder = Folder::new("states");
    for (number, optimizer) in optimizers().into_iter().enumerate() {
        for clipping in [None, Some(0.7)] {
            let mut generator = Xoshiro256PlusPlus::seed_from_u64(number as u64);
            let mut whole = Trainer::new(name_model(1), optimizer).unwrap();
            if let Some(norm) = clipping {
                whole = whole.with_clipping(norm).unwrap();
            }
            steps(&mut whole, &train, &mut generator);

            let path = folder.path(&format!("{number}.safetensors"));
            weights::save_state(&path, &whole.state(), Some(&generator)).unwrap();
            let (state, loaded) = weights::load_state::<NameModel>(&path).unwrap();
            assert_eq!(bits(&state), bits(&whole.state()));
            assert_eq!(state, whole.state());
            let mut resumed = Trainer::resume(state).unwrap();
            let mut loaded = loaded.unwrap();
            assert_eq!(loaded, generator);

            steps(&mut whole, &train, &mut generator);
            steps(&mut resumed, &train, &mut loaded);
            assert_eq!(
                bits(&resumed.state()),
                bits(&whole.state()),
                "{optimizer:?}, {clipping:?}"
            );
            assert_eq!(resumed.state(), whole.state());
            assert_eq!(loaded, generator);
        }
    }
}

#[test]
fn a_states_file_holds_its_model_too() {
    let mut trainer = Trainer::new(name_model(1), AdamW::new(0.1)).unwrap();
    trainer.step(&[[0, 1, 2]], &[3]).unwrap();
    let bytes = weights::state_to_bytes(&trainer.state(), None).unwrap();
    let keys = Keys::makemore();
    let model: NameModel = weights::from_bytes(&bytes, &keys.clone().ignoring_others()).unwrap();
    assert_eq!(model, trainer.model());
    let error = weights::from_bytes::<NameModel>(&bytes, &keys).unwrap_err();
    assert!(error.to_string().contains("moment1.C"), "{error}");
    assert!(
        weights::state_from_bytes::<NameModel>(&bytes)
            .unwrap()
            .1
            .is_none()
    );
}

#[test]
fn a_state_that_no_run_comes_to_is_not_written() {
    let trainer = Trainer::new(name_model(1), AdamW::new(0.1)).unwrap();
    let mut state = trainer.state();
    state.moments.pop();
    assert!(weights::state_to_bytes(&state, None).is_err());
    let mut state = trainer.state();
    state.model.output.bias[0] = f32::NAN;
    assert!(weights::state_to_bytes(&state, None).is_err());
}

/// Finite, at least 0, of any magnitude.
fn not_negative() -> impl Strategy<Value = f32> {
    (0..f32::INFINITY.to_bits()).prop_map(f32::from_bits)
}

/// At least 0 and below 1, of any magnitude.
fn share() -> impl Strategy<Value = f32> {
    (0..1.0_f32.to_bits()).prop_map(f32::from_bits)
}

fn any_optimizer() -> impl Strategy<Value = Optimizer> {
    let sgd = not_negative().prop_map(|rate| Sgd::new(rate).into());
    let momentum = (not_negative(), share(), any::<bool>(), not_negative()).prop_map(
        |(learning_rate, momentum, nesterov, weight_decay)| {
            Momentum {
                learning_rate,
                momentum,
                nesterov,
                weight_decay,
            }
            .into()
        },
    );
    let positive = (1..f32::INFINITY.to_bits()).prop_map(f32::from_bits);
    let adam_w = (not_negative(), [share(), share()], positive, not_negative()).prop_map(
        |(learning_rate, betas, epsilon, weight_decay)| {
            AdamW {
                learning_rate,
                betas,
                epsilon,
                weight_decay,
            }
            .into()
        },
    );
    prop_oneof![sgd, momentum, adam_w]
}

/// The bits of all settings: zero and its negative are equal as numbers.
fn settings<M: fused_mlp::Model>(state: &TrainingState<M>) -> Vec<u32> {
    let of_optimizer = match state.optimizer {
        Optimizer::Sgd(sgd) => vec![sgd.learning_rate],
        Optimizer::Momentum(m) => vec![m.learning_rate, m.momentum, m.weight_decay],
        Optimizer::AdamW(a) => vec![
            a.learning_rate,
            a.betas[0],
            a.betas[1],
            a.epsilon,
            a.weight_decay,
        ],
    };
    of_optimizer
        .into_iter()
        .chain(state.clipping)
        .map(f32::to_bits)
        .collect()
}

proptest! {
    #![proptest_config(config(256, REGRESSIONS))]

    #[test]
    fn settings_come_back_to_the_bit(
        optimizer in any_optimizer(),
        clipping in prop::option::of(not_negative()),
        steps in 0..=1_u64 << 53,
        seed: u64,
    ) {
        let generator = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut trainer = Trainer::new(Small::fan_in_scaled(&mut generator.clone()), optimizer).unwrap();
        if let Some(norm) = clipping {
            trainer = trainer.with_clipping(norm).unwrap();
        }
        let state = TrainingState { steps, ..trainer.state() };
        let bytes = weights::state_to_bytes(&state, Some(&generator)).unwrap();
        let (read, read_generator) = weights::state_from_bytes::<Small>(&bytes).unwrap();
        prop_assert_eq!(settings(&read), settings(&state));
        prop_assert_eq!(&read, &state);
        prop_assert_eq!(read_generator, Some(generator));
    }
}

/// At a rate of zero no evaluation after the first is an improvement.
#[test]
fn early_stopping_goes_on_from_its_file_with_its_patience_and_its_best_model() {
    let data = Corpus::sample()
        .windows::<3>(&Vocabulary::lowercase())
        .unwrap();
    let plateau = Plateau {
        every: 1,
        patience: 10,
        improvement: 0.25,
    };
    let stop =
        |trainer: &mut Trainer<NameModel>, stopping: &mut EarlyStopping<NameModel>, until| {
            while trainer.steps() < until {
                trainer.step(&[[0, 1, 2]], &[3]).unwrap();
                if stopping.check(trainer, &data).unwrap().is_break() {
                    break;
                }
            }
        };
    let mut trainer = Trainer::new(name_model(1), Sgd::new(0.0)).unwrap();
    let mut stopping = EarlyStopping::new(plateau).unwrap();
    let folder = Folder::new("stopping");
    for saved_after in [0, 1, 6] {
        stop(&mut trainer, &mut stopping, saved_after);
        let state = TrainingState {
            stopping: Some(stopping.clone()),
            ..trainer.state()
        };
        let path = folder.path(&format!("{saved_after}.safetensors"));
        weights::save_state(&path, &state, None).unwrap();
        let (mut loaded, _) = weights::load_state::<NameModel>(&path).unwrap();
        assert_eq!(loaded, state);

        let mut stopping = loaded.stopping.take().unwrap();
        let mut trainer = Trainer::resume(loaded).unwrap();
        stop(&mut trainer, &mut stopping, 100);
        assert_eq!(trainer.steps(), 11, "saved after {saved_after}");
        let best = stopping.into_best().unwrap();
        assert_eq!((best.step, best.model), (1, name_model(1)));
    }
}
