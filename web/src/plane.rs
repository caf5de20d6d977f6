//! Embeddings of any width as points of a plane.

use crate::run::TOKENS;

/// Rounds of orthogonal iteration for the first picture, and for each one after it.
const FIRST_ROUNDS: usize = 100;
const ROUNDS: usize = 4;

/// The two principal axes of the embeddings. Each picture starts from the axes of the one before,
/// so that points move smoothly while a model is trained.
pub(crate) struct Plane {
    axes: [Vec<f32>; 2],
    is_new: bool,
}

impl Plane {
    /// For embeddings of this width, at least 2.
    pub(crate) fn new(width: usize) -> Self {
        let unit = |axis| (0..width).map(|i| f32::from(u8::from(i == axis))).collect();
        Self {
            axes: [unit(0), unit(1)],
            is_new: true,
        }
    }

    /// The points of embeddings, one row after another: two numbers as they are; of more, the
    /// coordinates along the principal axes, from the mean.
    pub(crate) fn project(&mut self, embeddings: &[f32]) -> [[f32; 2]; TOKENS] {
        let width = self.axes[0].len();
        let rows = || embeddings.chunks_exact(width);
        if width == 2 {
            let mut points = [[0.0; 2]; TOKENS];
            for (point, row) in points.iter_mut().zip(rows()) {
                point.copy_from_slice(row);
            }
            return points;
        }
        let mut mean = vec![0.0; width];
        rows().for_each(|row| add(&mut mean, row, 1.0 / TOKENS as f32));
        let centred: Vec<Vec<f32>> = rows()
            .map(|row| row.iter().zip(&mean).map(|(x, m)| x - m).collect())
            .collect();
        for _ in 0..if self.is_new { FIRST_ROUNDS } else { ROUNDS } {
            self.turn(&centred);
        }
        self.is_new = false;
        std::array::from_fn(|token| self.axes.each_ref().map(|axis| dot(&centred[token], axis)))
    }

    /// One round: both axes times the covariance matrix, the second without its part along the
    /// first.
    fn turn(&mut self, centred: &[Vec<f32>]) {
        let width = self.axes[0].len();
        for index in 0..2 {
            let mut axis = vec![0.0; width];
            for row in centred {
                add(&mut axis, row, dot(row, &self.axes[index]));
            }
            if index == 1 {
                let along = dot(&axis, &self.axes[0]);
                add(&mut axis, &self.axes[0], -along);
            }
            let length = dot(&axis, &axis).sqrt();
            if length > 0.0 {
                self.axes[index] = axis.iter().map(|x| x / length).collect();
            }
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// `sum += factor · x`
fn add(sum: &mut [f32], x: &[f32], factor: f32) {
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum += factor * x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points on a line through three dimensions, with a little of a second direction.
    #[test]
    fn principal_axes_are_found_and_kept() {
        let mut embeddings = Vec::new();
        for token in 0..TOKENS {
            let t = token as f32 - 13.0;
            let s = if token % 2 == 0 { 1.0 } else { -1.0 };
            embeddings.extend([0.6 * t, 0.8 * t, s]);
        }
        let mut plane = Plane::new(3);
        for _ in 0..2 {
            let points = plane.project(&embeddings);
            for (token, [x, y]) in points.into_iter().enumerate() {
                assert!((x.abs() - (token as f32 - 13.0).abs()).abs() < 0.1, "{x}");
                assert!((y.abs() - 1.0).abs() < 0.1, "{y}");
            }
        }
    }

    #[test]
    fn two_numbers_are_a_point() {
        let embeddings: Vec<f32> = (0..2 * TOKENS).map(|i| i as f32).collect();
        let points = Plane::new(2).project(&embeddings);
        assert_eq!(points[0], [0.0, 1.0]);
        assert_eq!(points[TOKENS - 1], [52.0, 53.0]);
    }
}
