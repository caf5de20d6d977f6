//! FANN, the embedders' classic, where `../../peers/build` has built it.

use std::time::Duration;

use fused_mlp::random::{StandardNormal, below};
use fused_mlp::{SeedableRng, Xoshiro256PlusPlus};

use super::{EXAMPLES, LEARNING_RATE, Operation, Subject};
use crate::support::peer_data::PeerData;
use crate::support::peers::{self, Answers, Spec};
use crate::support::task::task;

/// For under the table.
pub(super) const NOTE: &str = "Nanoseconds an example, medians of interleaved rounds. `names` is the name model, the \
    others are inputs, hidden neurons and outputs of a regression. FANN has neither embedding nor softmax: it is given \
    the embeddings as fixed numbers and minimises the squared error of sigmoids, so that only the dense layers compare.";

/// Widths of the shapes that it is built for besides the name model's, as its data name them: vocabulary (here its
/// outputs), context and embedding (here their product, its inputs), hidden.
const SHAPES: [(&str, [usize; 4]); 3] = [
    ("8-8-2", [2, 4, 2, 8]),
    ("64-64-16", [16, 32, 2, 64]),
    ("8-256-1", [1, 4, 2, 256]),
];

/// One for each shape that it is built for; tells what is missing.
pub(super) fn subjects() -> Vec<Subject> {
    let Some(spec) = peers::that_answer(Answers::Examples).pop() else {
        return Vec::new();
    };
    let others = SHAPES
        .into_iter()
        .map(|(shape, widths)| (spec.for_shape(shape), random(shape, widths)));
    [(spec.clone(), task().peer_data())]
        .into_iter()
        .chain(others)
        .filter_map(|(spec, data)| match subject(&spec, &data) {
            Ok(subject) => Some(subject),
            Err(reason) => {
                println!("no {} at {}: {reason}", spec.id, data.name);
                None
            }
        })
        .collect()
}

fn subject(spec: &Spec, data: &PeerData) -> Result<Subject, String> {
    if !spec.is_installed() {
        return Err(format!("benches/peers: {}", spec.get));
    }
    let folder = data.write().map_err(|error| error.to_string())?;
    let steps = EXAMPLES / data.batch;
    let mut peer = spec.start(&folder, steps)?;
    let id = spec.id.clone();
    let run = move |operation, count: usize| {
        let times = peer.examples(count);
        let times = times.unwrap_or_else(|reason| panic!("{id}: {reason}"));
        let nanoseconds = match operation {
            Operation::Train => times.train,
            Operation::Predict => times.predict,
        };
        Duration::from_secs_f64(1e-9 * nanoseconds * crate::support::fraction(count, 1))
    };
    Ok(Subject {
        shape: data.name,
        program: spec.id.clone(),
        run: Box::new(run),
    })
}

/// Random data of another shape.
fn random(name: &'static str, widths: [usize; 4]) -> PeerData {
    let [vocab, context, embed, hidden] = widths;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let tokens = u32::try_from(vocab).expect("a vocabulary is small");
    let mut token = || u8::try_from(below(&mut rng, tokens)).expect("a token is a byte");
    let contexts = (0..EXAMPLES * context).map(|_| token()).collect();
    let targets = (0..EXAMPLES).map(|_| token()).collect();
    let parameters = vocab * embed + (context * embed + 1) * hidden + (hidden + 1) * vocab;
    let mut normal = StandardNormal::default();
    PeerData {
        name,
        widths,
        batch: 1,
        learning_rate: LEARNING_RATE,
        contexts,
        targets,
        initial: (0..parameters).map(|_| normal.sample(&mut rng)).collect(),
        indices: (0..).take(EXAMPLES).collect(),
    }
}
