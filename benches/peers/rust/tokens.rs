//! The name model's data.

use std::path::Path;

use super::protocol::{Data, fail, floats, indices, number, read};

/// `C [vocab, embed]`, `W1 [context * embed, hidden]`, `b1`, `W2 [hidden, vocab]`, `b2`: row-major, as in initial.f32.
#[derive(Clone)]
pub struct Parameters {
    pub c: Vec<f32>,
    pub w1: Vec<f32>,
    pub b1: Vec<f32>,
    pub w2: Vec<f32>,
    pub b2: Vec<f32>,
}

#[derive(Clone)]
pub struct Tokens {
    pub vocab: usize,
    pub context: usize,
    pub embed: usize,
    pub hidden: usize,
    pub batch: usize,
    pub learning_rate: f32,
    pub contexts: Vec<u8>,
    pub targets: Vec<u8>,
    pub indices: Vec<u32>,
    pub initial: Parameters,
}

#[allow(dead_code, reason = "not every peer wants every one of these")]
impl Tokens {
    pub fn inputs(&self) -> usize {
        self.context * self.embed
    }

    pub fn shape(&self) -> [usize; 5] {
        [
            self.vocab,
            self.context,
            self.embed,
            self.hidden,
            self.batch,
        ]
    }

    /// Ends the program when the data are of another shape than the peer was compiled for.
    pub fn expect_shape(&self, compiled: [usize; 5]) {
        if self.shape() != compiled {
            fail(format!(
                "shape.json has [vocab, context, embed, hidden, batch] {:?}, this peer was built for {compiled:?}",
                self.shape()
            ));
        }
    }

    /// The example numbers of each step.
    pub fn batches(&self) -> impl Iterator<Item = &[u32]> {
        self.indices.chunks_exact(self.batch)
    }

    pub fn context_of(&self, example: u32) -> &[u8] {
        &self.contexts[example as usize * self.context..][..self.context]
    }

    pub fn target_of(&self, example: u32) -> usize {
        self.targets[example as usize].into()
    }
}

impl Data for Tokens {
    type Parameters = Parameters;

    fn load(folder: &Path, steps: usize) -> Self {
        let json = String::from_utf8_lossy(&read(folder, "shape.json", 2)).into_owned();
        let size = |key: &str| number(&json, key) as usize;
        let [vocab, context, embed, hidden, batch] =
            ["vocab", "context", "embed", "hidden", "batch"].map(size);
        let examples = size("examples");

        let sizes = [
            vocab * embed,
            context * embed * hidden,
            hidden,
            hidden * vocab,
            vocab,
        ];
        let mut values = floats(folder, "initial.f32", sizes.iter().sum()).into_iter();
        let [c, w1, b1, w2, b2] = sizes.map(|size| values.by_ref().take(size).collect());

        Self {
            vocab,
            context,
            embed,
            hidden,
            batch,
            learning_rate: number(&json, "learning_rate") as f32,
            contexts: read(folder, "contexts.u8", examples * context),
            targets: read(folder, "targets.u8", examples)[..examples].to_vec(),
            indices: indices(folder, steps * batch),
            initial: Parameters { c, w1, b1, w2, b2 },
        }
    }

    fn truncate(&mut self, steps: usize) {
        self.indices.truncate(steps * self.batch);
    }

    /// Mean cross-entropy of the whole train split.
    fn loss(&self, p: &Parameters) -> f64 {
        let mut total = 0.0;
        for (context, &target) in self.contexts.chunks_exact(self.context).zip(&self.targets) {
            let mut hidden = p.b1.clone();
            let inputs = context
                .iter()
                .flat_map(|&token| &p.c[token as usize * self.embed..][..self.embed]);
            for (x, row) in inputs.zip(p.w1.chunks_exact(self.hidden)) {
                hidden.iter_mut().zip(row).for_each(|(z, w)| *z += x * w);
            }
            let mut logits = p.b2.clone();
            for (z, row) in hidden.iter().zip(p.w2.chunks_exact(self.vocab)) {
                let h = z.tanh();
                logits
                    .iter_mut()
                    .zip(row)
                    .for_each(|(logit, w)| *logit += h * w);
            }
            let top = logits.iter().copied().fold(f32::MIN, f32::max);
            let sum: f32 = logits.iter().map(|logit| (logit - top).exp()).sum();
            total += f64::from(sum.ln() + top - logits[target as usize]);
        }
        total / self.targets.len() as f64
    }
}
