//! One line for each program, and one for the physical limit.

use super::contest::Contest;
use crate::entries::About;
use crate::support::rounds::Samples;

/// The samples are the seconds of each round that the program took part in, in order.
const HEADER: [&str; 12] = [
    "program",
    "description",
    "steps_timed",
    "batches",
    "rounds",
    "min_s",
    "median_s",
    "over_this_crate",
    "over_fma_peak",
    "train_loss",
    "startup_s",
    "samples_s",
];

/// The whole file.
pub(super) fn csv(contest: &Contest) -> String {
    let peak = measured(contest, contest.peak_name(), None, None, &contest.peak);
    let rows = contest.rows.iter().map(|row| {
        let (about, loss) = (Some(&row.about), Some(row.loss));
        measured(contest, row.name(), about, loss, &row.samples)
    });
    [HEADER.map(String::from), peak]
        .into_iter()
        .chain(rows)
        .map(|fields| fields.map(quoted).join(",") + "\n")
        .collect()
}

fn measured(
    contest: &Contest,
    name: String,
    about: Option<&About>,
    loss: Option<f64>,
    samples: &Samples,
) -> [String; HEADER.len()] {
    let seconds: Vec<f64> = samples.seconds().collect();
    let text = |value: Option<f64>| value.map_or(String::new(), six);
    [
        name,
        about.map_or(String::new(), |about| about.description.clone()),
        about.map_or(String::new(), |about| about.steps[0].to_string()),
        about.map_or(String::new(), |about| about.batches().into()),
        seconds.len().to_string(),
        six(samples.min()),
        six(samples.median()),
        six(samples.ratio_to(&contest.own().samples)),
        six(samples.ratio_to(&contest.peak)),
        text(loss),
        text(about.map(|about| about.startup.as_secs_f64())),
        seconds.into_iter().map(six).collect::<Vec<_>>().join(" "),
    ]
}

fn six(value: f64) -> String {
    format!("{value:.6}")
}

/// In quotation marks, should it hold a comma.
fn quoted(text: String) -> String {
    match text.contains([',', '"']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}
