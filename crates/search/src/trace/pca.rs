//! Principal components of few points in many dimensions, by their Gram matrix.

/// Points in the coordinates of their principal components.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// `points[i][c]` is the i-th point less the mean, along component c.
    pub points: Vec<Vec<f64>>,
    /// The share of the variance along each component, falling; all 0 where the points are one.
    pub variance: Vec<f64>,
}

/// The first `components` principal components of `points`, all of one width: fewer where there are fewer points.
///
/// The Gram matrix of the centred points has the eigenvalues of their scatter matrix, and √λ·u of its unit eigenvector u are
/// the coordinates; both in double precision, by Jacobi's rotations. Each component points to where its coordinate of largest
/// size is positive.
pub fn project(points: &[&[f32]], components: usize) -> Projection {
    let count = points.len();
    let width = points.iter().map(|point| point.len()).min().unwrap_or(0);
    let mut mean = vec![0.0; width];
    for point in points {
        mean.iter_mut().zip(*point).for_each(|(mean, &x)| *mean += f64::from(x) / count as f64);
    }
    let centred: Vec<Vec<f64>> = points
        .iter()
        .map(|point| point.iter().zip(&mean).map(|(&x, mean)| f64::from(x) - mean).collect())
        .collect();
    let mut gram = vec![vec![0.0; count]; count];
    for i in 0..count {
        for j in 0..=i {
            gram[i][j] = centred[i].iter().zip(&centred[j]).map(|(a, b)| a * b).sum();
            gram[j][i] = gram[i][j];
        }
    }
    let total: f64 = (0..count).map(|i| gram[i][i]).sum();
    let vectors = diagonalise(&mut gram);
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| gram[b][b].total_cmp(&gram[a][a]));
    order.truncate(components);
    let mut found = Projection { points: vec![Vec::with_capacity(order.len()); count], variance: Vec::new() };
    for component in order {
        let value = gram[component][component].max(0.0);
        let along: Vec<f64> = vectors.iter().map(|row| row[component] * value.sqrt()).collect();
        let largest = along.iter().copied().reduce(|a, b| if b.abs() > a.abs() { b } else { a });
        let sign = if largest.is_some_and(|x| x < 0.0) { -1.0 } else { 1.0 };
        found.points.iter_mut().zip(along).for_each(|(point, x)| point.push(sign * x));
        found.variance.push(if total > 0.0 { value / total } else { 0.0 });
    }
    found
}

/// Turns a symmetric matrix diagonal by Jacobi's rotations, a cycle after another; the columns of what is returned are the
/// eigenvectors.
fn diagonalise(a: &mut [Vec<f64>]) -> Vec<Vec<f64>> {
    /// Cycles double the digits that are right; few are needed.
    const CYCLES: usize = 30;
    let n = a.len();
    let mut vectors: Vec<Vec<f64>> =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    let scale: f64 = a.iter().flatten().map(|x| x * x).sum();
    for _ in 0..CYCLES {
        let off: f64 = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i][j] * a[i][j]).sum();
        if off <= f64::EPSILON * f64::EPSILON * scale {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if a[p][q] == 0.0 {
                    continue;
                }
                // tan of the angle that zeroes a[p][q], the smaller of two.
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let tan = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let cos = 1.0 / tan.hypot(1.0);
                let sin = tan * cos;
                let turn = |x: f64, y: f64| (cos * x - sin * y, sin * x + cos * y);
                for row in a.iter_mut() {
                    (row[p], row[q]) = turn(row[p], row[q]);
                }
                let (above, below) = a.split_at_mut(q);
                for (x, y) in above[p].iter_mut().zip(&mut below[0]) {
                    (*x, *y) = turn(*x, *y);
                }
                for row in &mut vectors {
                    (row[p], row[q]) = turn(row[p], row[q]);
                }
            }
        }
    }
    vectors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project_all(points: &[Vec<f32>], components: usize) -> Projection {
        project(&points.iter().map(Vec::as_slice).collect::<Vec<_>>(), components)
    }

    /// Points on an ellipse in a tilted plane of seven dimensions.
    #[test]
    fn a_tilted_ellipse_lies_in_two_components() {
        let (u, v) = ([1.0, 2.0, 0.0, -1.0, 0.0, 0.5, 1.0], [2.0, -1.0, 3.0, 0.0, 1.0, 0.0, 0.0]);
        let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let angle = |i: usize| i as f64 * std::f64::consts::TAU / 12.0;
        let at = |i: usize| -> Vec<f32> {
            let (x, y) = (3.0 * angle(i).cos() / length(&u), angle(i).sin() / length(&v));
            u.iter().zip(&v).map(|(u, v)| (5.0 + x * u + y * v) as f32).collect()
        };
        let points: Vec<Vec<f32>> = (0..12).map(at).collect();
        let found = project_all(&points, 6);
        assert_eq!((found.points.len(), found.variance.len()), (12, 6));
        // Half axes 3 and 1 around the mean: variances 9 to 1. f32 has 24 bits for values of about 7.
        assert!((found.variance[0] - 0.9).abs() < 1e-6 && (found.variance[1] - 0.1).abs() < 1e-6);
        for (i, point) in found.points.iter().enumerate() {
            assert!((point[0].abs() - 3.0 * angle(i).cos().abs()).abs() < 1e-5, "{i}: {point:?}");
            assert!((point[1].abs() - angle(i).sin().abs()).abs() < 1e-5, "{i}: {point:?}");
            assert!(point[2..].iter().all(|x| x.abs() < 1e-5));
        }
    }

    /// Whatever the points, coordinates along all components keep every distance.
    #[test]
    fn all_components_keep_distances() {
        let point = |i: u32| -> Vec<f32> {
            (0..9).map(|c: u32| ((i * 37 + c * c * 11 + i * c * 5) % 17) as f32 - 8.0).collect()
        };
        let points: Vec<Vec<f32>> = (0..8).map(point).collect();
        let found = project_all(&points, 8);
        let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let wide = |i: usize| -> Vec<f64> { points[i].iter().map(|&x| f64::from(x)).collect() };
        for i in 0..8 {
            for j in 0..i {
                let (given, kept) = (apart(&wide(i), &wide(j)), apart(&found.points[i], &found.points[j]));
                assert!((given - kept).abs() < 1e-9 * given, "{i}, {j}: {kept} for {given}");
            }
        }
        assert!(found.variance.is_sorted_by(|a, b| a >= b));
        assert!((found.variance.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn one_point_and_none_have_no_extent() {
        let one = project_all(&[vec![3.0, 4.0], vec![3.0, 4.0]], 2);
        assert_eq!((one.points, one.variance), (vec![vec![0.0, 0.0]; 2], vec![0.0, 0.0]));
        assert_eq!(project_all(&[], 2), Projection { points: vec![], variance: vec![] });
    }
}
