//! Training states that no run comes to.

use fused_mlp::{
    AdamW, Dataset, EarlyStopping, Plateau, SeedableRng, Sgd, Trainer, TrainingState,
    Xoshiro256PlusPlus, weights,
};

use super::{Case, case};
use crate::file::{File, Small};

/// The file of a trained small model, in which settings can be spoilt.
pub(super) fn state() -> File {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
    let mut trainer = Trainer::new(Small::fan_in_scaled(rng), AdamW::new(0.01)).unwrap();
    trainer.step(&[[0, 1], [2, 0]], &[2, 1]).unwrap();
    let state = trainer.with_clipping(2.5).unwrap().state();
    File::of(&weights::state_to_bytes(&state, Some(rng)).unwrap())
}

pub(super) fn states() -> Vec<Case> {
    // Within the metadata all quotes are escaped.
    let setting = |name: &str, from: &str, to: &str, says: &[&str]| {
        let [from, to] = [from, to].map(|text| text.replace('"', r#"\""#));
        case(name, state().with(&from, &to).bytes(), says)
    };
    let value = |name: &str, key: &str, old: &str, new: &str, says: &[&str]| {
        let [old, new] = [old, new].map(|value| format!(r#""{key}":"{value}""#));
        setting(name, &old, &new, says)
    };
    let missing = |key: &str| {
        let says = [key, "an entry in the metadata", "none"];
        setting(
            &format!("no {key}"),
            &format!(r#""{key}""#),
            r#""other""#,
            &says,
        )
    };
    let generator = {
        let header = state().header;
        let start = header.find("xoshiro256plusplus").unwrap() + r#"xoshiro256plusplus\":\""#.len();
        header[start..][..64].to_owned()
    };
    let digits = |name: &str, new: &str, says: &[&str]| {
        value(
            name,
            "xoshiro256plusplus",
            &generator,
            new,
            &[&["xoshiro256plusplus"], says].concat(),
        )
    };
    // Tensors in order of their names, after the model's 41 numbers: first moments, then second ones.
    let moment = |index: usize, value: f32| state().value(41 + index, value).bytes();
    vec![
        case(
            "a model alone",
            File::small().bytes(),
            &["__metadata__", "settings of a training run", "none"],
        ),
        missing("optimizer"),
        missing("learning_rate"),
        missing("beta1"),
        missing("beta2"),
        missing("epsilon"),
        missing("weight_decay"),
        missing("steps"),
        missing("loss"),
        value(
            "unknown optimizer",
            "optimizer",
            "adam_w",
            "lion",
            &["optimizer", "sgd, momentum or adam_w", "lion"],
        ),
        value(
            "optimizer of fewer moments",
            "optimizer",
            "adam_w",
            "sgd",
            &["moment1.C", "0 moments"],
        ),
        value(
            "other loss",
            "loss",
            "cross-entropy",
            "huber",
            &["loss", "cross-entropy", "huber"],
        ),
        value(
            "rate not a number",
            "learning_rate",
            "0.01",
            "fast",
            &["learning_rate", "f32", "fast"],
        ),
        value(
            "rate NaN",
            "learning_rate",
            "0.01",
            "NaN",
            &["learning_rate", "finite", "NaN"],
        ),
        value(
            "rate infinite",
            "learning_rate",
            "0.01",
            "1e39",
            &["learning_rate", "finite", "inf"],
        ),
        value(
            "rate negative",
            "learning_rate",
            "0.01",
            "-0.5",
            &["learning_rate", "at least 0", "-0.5"],
        ),
        value(
            "beta of one",
            "beta2",
            "0.999",
            "1.0",
            &["betas[1]", "below 1", "1"],
        ),
        value(
            "epsilon of zero",
            "epsilon",
            "1e-8",
            "0.0",
            &["epsilon", "above 0", "0"],
        ),
        value(
            "clipping negative",
            "clipping",
            "2.5",
            "-1",
            &["norm", "at least 0", "-1"],
        ),
        value(
            "clipping empty",
            "clipping",
            "2.5",
            "",
            &["clipping", "f32", r#""""#],
        ),
        value(
            "steps negative",
            "steps",
            "1",
            "-1",
            &["steps", "u64", "-1"],
        ),
        value(
            "steps a fraction",
            "steps",
            "1",
            "1.5",
            &["steps", "u64", "1.5"],
        ),
        value(
            "steps beyond 2⁵³",
            "steps",
            "1",
            "9007199254740993",
            &["steps", "at most 2⁵³"],
        ),
        digits("generator of zeros", &"0".repeat(64), &["not 0", "zeros"]),
        digits(
            "generator too short",
            &generator[..62],
            &["64 hexadecimal digits"],
        ),
        digits(
            "generator too long",
            &format!("{generator}00"),
            &["64 hexadecimal digits"],
        ),
        digits(
            "generator of an odd length",
            &generator[1..],
            &["64 hexadecimal digits"],
        ),
        digits(
            "generator with signs",
            &"+1".repeat(32),
            &["64 hexadecimal digits", "+1"],
        ),
        digits(
            "generator of other letters",
            &"é".repeat(32),
            &["64 hexadecimal digits"],
        ),
        case(
            "moment missing",
            state().with("moment1.C", "moment3.C").bytes(),
            &["moment1.C", "F32 or F64 of shape [3, 2]"],
        ),
        case(
            "moment of another shape",
            state().with("[4,3]", "[3,4]").bytes(),
            &["[4, 3]", "[3, 4]"],
        ),
        case(
            "first moment NaN",
            moment(0, f32::NAN),
            &["moment1.C", "at [0, 0]", "finite", "NaN"],
        ),
        case(
            "second moment infinite",
            moment(41, f32::INFINITY),
            &["moment2.C", "at [0, 0]", "finite", "inf"],
        ),
        case(
            "second moment negative",
            moment(41, -1.0),
            &["moment 1", "embedding[0, 0]", "at least 0", "-1"],
        ),
    ]
}

/// Early stopping that no run comes to.
pub(super) fn stopped() -> Vec<Case> {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
    let mut trainer = Trainer::new(Small::fan_in_scaled(rng), Sgd::new(0.0)).unwrap();
    trainer.step(&[[0, 1]], &[2]).unwrap();
    let mut stopping = EarlyStopping::new(Plateau {
        every: 1,
        patience: 9,
        improvement: 0.5,
    })
    .unwrap();
    let data = Dataset::new(vec![[0, 1]], vec![2]).unwrap();
    assert!(stopping.check(&mut trainer, &data).unwrap().is_continue());
    let loss = stopping.best().unwrap().loss;
    let state = TrainingState {
        stopping: Some(stopping),
        ..trainer.state()
    };
    let file = File::of(&weights::state_to_bytes(&state, None).unwrap());
    let value = |key: &str, old: &str, new: &str, says: &[&str]| {
        let [old, new] = [old, new].map(|value| format!(r#"\"stopping_{key}\":\"{value}\""#));
        case(
            &format!("stopping: {new}"),
            file.clone().with(&old, &new).bytes(),
            says,
        )
    };
    let loss = format!("{loss:?}");
    vec![
        value("every", "1", "0", &["every", "at least 1", "0"]),
        value("patience", "9", "0", &["patience", "at least 1", "0"]),
        value("patience", "9", "-9", &["stopping_patience", "u64", "-9"]),
        value(
            "improvement",
            "0.5",
            "NaN",
            &["improvement", "finite", "NaN"],
        ),
        value("stale", "0", "none", &["stopping_stale", "u64", "none"]),
        value("best_loss", &loss, "inf", &["best loss", "finite", "inf"]),
        value(
            "best_step",
            "1",
            "1.5",
            &["stopping_best_step", "u64", "1.5"],
        ),
        case(
            "stopping: no best model",
            file.clone().with("best.C", "bust.C").bytes(),
            &["best.C", "no tensor of this name"],
        ),
        case(
            "stopping: a best model without a loss",
            file.clone()
                .with("stopping_best_loss", "stopping_lost_loss")
                .bytes(),
            &["best.C"],
        ),
        case(
            "stopping: an entry missing",
            file.clone()
                .with("stopping_stale", "stopping_fresh")
                .bytes(),
            &["stopping_stale", "an entry in the metadata", "none"],
        ),
    ]
}
