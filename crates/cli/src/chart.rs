//! What our pictures share: colours, fonts, a legend beside the plot where nothing can run into it.

use std::error::Error;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A drawing area of an SVG held in memory.
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A failure of the drawing library.
pub(crate) type Drawn = Result<(), Box<dyn Error>>;

/// Colours that stay apart for colour-blind readers (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];
/// Ink of texts.
pub(crate) const INK: RGBColor = RGBColor(34, 34, 34);
/// Ink of grid lines.
const GRID: RGBColor = RGBColor(226, 226, 226);
/// Pixels of a text.
pub(crate) const TEXT: u32 = 16;
const HEADING: u32 = 22;
/// Height that [`heading`] takes.
pub(crate) const HEAD_HEIGHT: u32 = 68;
/// Width of the legend.
pub(crate) const LEGEND_WIDTH: u32 = 170;

/// The colour of the i-th series.
pub(crate) fn colour(i: usize) -> RGBColor {
    COLOURS[i % COLOURS.len()]
}

/// Draws an SVG of `size` with `draw`.
///
/// # Errors
/// What the drawing library says.
pub(crate) fn svg(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String, String> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let drawn = root
            .fill(&WHITE)
            .map_err(Into::into)
            .and_then(|()| draw(&root))
            .and_then(|()| root.present().map_err(Into::into));
        drawn.map_err(|e| format!("cannot be drawn: {e}"))?;
    }
    Ok(text)
}

/// A title and a smaller line below it, at the top left.
pub(crate) fn heading(area: &Area<'_>, title: &str, subtitle: &str) -> Drawn {
    let style = |size: u32| ("sans-serif", size).into_font().color(&INK);
    area.draw_text(title, &style(HEADING), (20, 14))?;
    area.draw_text(subtitle, &style(TEXT), (20, 42))?;
    Ok(())
}

/// One entry a line: a stroke in its colour and a name; `note` below them.
pub(crate) fn legend(area: &Area<'_>, names: &[String], note: Option<&str>) -> Drawn {
    let style = ("sans-serif", TEXT).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
    let y = |i: usize| 30 + 26 * i as i32;
    for (i, name) in names.iter().enumerate() {
        area.draw(&PathElement::new([(6, y(i)), (34, y(i))], colour(i).stroke_width(3)))?;
        area.draw(&Circle::new((20, y(i)), 4, colour(i).filled()))?;
        area.draw_text(name, &style, (42, y(i)))?;
    }
    if let Some(note) = note {
        area.draw_text(note, &style, (6, y(names.len())))?;
    }
    Ok(())
}

/// Draws the i-th of `count` series as points, with a line through them if `connected`. Earlier ones are drawn wider,
/// so that a later one that coincides does not hide them.
pub(crate) fn series(
    chart: &mut Plot<'_, '_>,
    (i, count): (usize, usize),
    points: &[(f64, f64)],
    connected: bool,
) -> Drawn {
    let (colour, wider) = (colour(i), count.saturating_sub(i + 1) as u32);
    if connected {
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2 + wider)))?;
    }
    chart
        .draw_series(points.iter().map(|&point| Circle::new(point, 4 + wider as i32 / 2, colour.filled())))?;
    Ok(())
}

/// Draws the i-th series' band, of which each point has x, low and high; of one point alone it is a stroke.
pub(crate) fn band(chart: &mut Plot<'_, '_>, i: usize, ends: &[[f64; 3]]) -> Drawn {
    if let &[[x, low, high]] = ends {
        chart.draw_series([PathElement::new([(x, low), (x, high)], colour(i).stroke_width(2))])?;
    }
    let upper = ends.iter().map(|&[x, _, high]| (x, high));
    let lower = ends.iter().rev().map(|&[x, low, _]| (x, low));
    chart.draw_series([Polygon::new(upper.chain(lower).collect::<Vec<_>>(), colour(i).mix(0.14))])?;
    Ok(())
}

/// Draws a dashed line at height y over the whole width, with its name at the right end.
pub(crate) fn level(chart: &mut Plot<'_, '_>, y: f64, name: &str) -> Drawn {
    let ends = chart.as_coord_spec().get_x_range();
    chart.draw_series(DashedLineSeries::new([(ends.start, y), (ends.end, y)], 6, 5, INK.stroke_width(1)))?;
    let style = ("sans-serif", TEXT).into_font().color(&INK).pos(Pos::new(HPos::Right, VPos::Bottom));
    chart.draw_series([Text::new(name.to_owned(), (ends.end, y), style)])?;
    Ok(())
}

/// A colour for a share from 0 to 1, dark to light: stops of viridis, which print and colour-blind readers keep in order.
pub(crate) fn ramp(share: f64) -> RGBColor {
    const STOPS: [[f64; 3]; 5] = [
        [68.0, 1.0, 84.0],
        [59.0, 82.0, 139.0],
        [33.0, 145.0, 140.0],
        [94.0, 201.0, 98.0],
        [253.0, 231.0, 37.0],
    ];
    let at = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 } * (STOPS.len() - 1) as f64;
    let low = (at.floor() as usize).min(STOPS.len() - 2);
    let mixed =
        |c: usize| (STOPS[low][c] + (at - low as f64) * (STOPS[low + 1][c] - STOPS[low][c])).round() as u8;
    RGBColor(mixed(0), mixed(1), mixed(2))
}

/// A bar of [`ramp`]'s colours from (6, `top`) down, with a title and the labels of its upper and lower end.
pub(crate) fn ramp_bar(area: &Area<'_>, top: i32, title: &str, [high, low]: [&str; 2]) -> Drawn {
    const HEIGHT: i32 = 120;
    let style = ("sans-serif", TEXT).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
    area.draw_text(title, &style, (6, top))?;
    for y in 0..HEIGHT {
        let colour = ramp(1.0 - f64::from(y) / f64::from(HEIGHT - 1));
        let line = [(6, top + 16 + y), (28, top + 17 + y)];
        area.draw(&Rectangle::new(line, colour.filled()))?;
    }
    area.draw_text(high, &style, (36, top + 22))?;
    area.draw_text(low, &style, (36, top + 10 + HEIGHT))?;
    Ok(())
}

/// Ticks at whole steps, a power of two apart.
pub(crate) fn step_ticks(first: usize, last: usize) -> Axis {
    let apart =
        (0..).map(|power| 1usize << power).find(|apart| (last - first.min(last)) / apart <= 8).unwrap_or(1);
    let mut axis = Axis::over([first, last].into_iter().map(|step| (step as f64, step.to_string())));
    let inner = (first..=last).filter(|step| step % apart == 0);
    axis.ticks = inner.map(|step| (step as f64, step.to_string())).collect();
    axis
}

/// Ends of an axis of decimal logarithms around those of `values` that are positive, at whole decades.
pub(crate) fn decades(values: impl Iterator<Item = f64>) -> Range<f64> {
    let logarithms = values.filter(|value| *value > 0.0 && value.is_finite()).map(f64::log10);
    let (low, high) =
        logarithms.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    if low > high {
        return -1.0..0.0;
    }
    low.floor()..high.ceil().max(low.floor() + 1.0)
}

/// Draws a series of many points as a line alone.
fn curve(chart: &mut Plot<'_, '_>, i: usize, points: &[(f64, f64)]) -> Drawn {
    chart.draw_series(LineSeries::new(points.iter().copied(), colour(i).stroke_width(2)))?;
    Ok(())
}

/// Ends of a percent axis around `values`, at tens, within 0 to 100.
pub(crate) fn percent_range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return 0.0..100.0;
    }
    // A little air, so that a curve along an edge is seen.
    let low = (((low - 1.0) / 10.0).floor() * 10.0).clamp(0.0, 90.0);
    let high = (((high + 1.0) / 10.0).ceil() * 10.0).clamp(low + 10.0, 100.0);
    low..high
}

/// A linear axis that is labelled at given places alone.
pub(crate) struct Axis {
    range: Range<f64>,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis over `ticks`, which grow, with air at both ends. A label that has no room before a later one is left
    /// out; the last one stays.
    pub(crate) fn over(ticks: impl DoubleEndedIterator<Item = (f64, String)>) -> Self {
        let all: Vec<(f64, String)> = ticks.collect();
        let low = all.first().map_or(0.0, |tick| tick.0);
        let high = all.last().map_or(0.0, |tick| tick.0);
        let span = high - low;
        let air = if span > 0.0 { 0.06 * span } else { 0.5 };
        let mut kept: Vec<(f64, String)> = Vec::new();
        for tick in all.into_iter().rev() {
            if kept.last().is_none_or(|next| next.0 - tick.0 >= 0.09 * span) {
                kept.push(tick);
            }
        }
        kept.reverse();
        Self { range: low - air..high + air, ticks: kept }
    }
}

impl Axis {
    /// An axis a little beyond `reach` on both sides of 0.
    pub(crate) fn around(reach: f64, ticks: impl IntoIterator<Item = (f64, String)>) -> Self {
        Self { range: -1.12 * reach..1.12 * reach, ticks: ticks.into_iter().collect() }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let part = (value - self.range.start) / (self.range.end - self.range.start);
        limit.0 + (part * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, _hint: H) -> Vec<f64> {
        self.ticks.iter().map(|tick| tick.0).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.ticks.iter().find(|tick| tick.0 == *value).map_or_else(String::new, |tick| tick.1.clone())
    }
}

/// Titles of the two axes of a plot, and how y is labelled.
pub(crate) struct Titles<'a> {
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    pub(crate) labels: Labels,
}

/// Labels of the y axis.
#[derive(Clone, Copy)]
pub(crate) enum Labels {
    /// So many decimals.
    Decimals(usize),
    /// y is the decimal logarithm of what is labelled, with two digits that count.
    Logarithm,
    /// y is the decimal logarithm of what is labelled, as one digit and a power.
    Powers,
}

impl Labels {
    fn of(self, y: f64) -> String {
        match self {
            Self::Decimals(decimals) => format!("{y:.decimals$}"),
            Self::Powers => format!("{:.0e}", 10.0_f64.powf(y)),
            Self::Logarithm => format!("{:.*}", (1.0 - y.floor()).clamp(0.0, 9.0) as usize, 10.0_f64.powf(y)),
        }
    }
}

/// A plot over an [`Axis`].
pub(crate) type Plot<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, RangedCoordf64>>;

/// A plot with grid, ticks and titles, ready for its series.
///
/// # Errors
/// What the drawing library says.
pub(crate) fn plot<'a, 'b>(
    area: &'a Area<'b>,
    x: Axis,
    y: Range<f64>,
    titles: &Titles<'_>,
) -> Result<Plot<'a, 'b>, Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(56)
        .y_label_area_size(70)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .x_desc(titles.x)
        .y_desc(titles.y)
        .y_labels(10)
        .y_label_formatter(&|&y| titles.labels.of(y))
        .label_style(("sans-serif", TEXT).into_font().color(&INK))
        .axis_desc_style(("sans-serif", TEXT).into_font().color(&INK))
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .draw()?;
    Ok(chart)
}

/// Figures of one kind, by step.
pub(crate) type Points = Vec<(f64, f64)>;

/// A plot of curves up to step `last`, the first of them in colour `colour`.
pub(crate) fn against_steps(
    area: &Area<'_>,
    (last, ticks): (f64, u32),
    y: Range<f64>,
    titles: &Titles<'_>,
    (curves, colour): (&[Points], usize),
) -> Drawn {
    let ticks = (0..=ticks).map(|tick| (f64::from(tick) / f64::from(ticks) * last).round());
    let x = Axis::over(ticks.map(|tick| (tick, format!("{tick:.0}"))));
    let mut plot = plot(area, x, y, titles)?;
    for (index, points) in curves.iter().enumerate() {
        curve(&mut plot, colour + index, points)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_axes_hold_their_values() {
        assert_eq!(percent_range([80.4, 96.2].into_iter()), 70.0..100.0);
        assert_eq!(percent_range([0.0, 0.0].into_iter()), 0.0..10.0);
        assert_eq!(percent_range([100.0].into_iter()), 90.0..100.0);
        assert_eq!(percent_range([f64::NAN].into_iter()), 0.0..100.0);
    }

    #[test]
    fn crowded_labels_give_way_to_later_ones() {
        let axis = Axis::over([0.0, 1.0, 2.0, 3.0, 3.1].into_iter().map(|x| (x, format!("at {x}"))));
        assert_eq!(axis.key_points(9), [0.0, 1.0, 2.0, 3.1]);
        assert_eq!(axis.format_ext(&3.1), "at 3.1");
        assert_eq!((axis.map(&0.0, (0, 1120)), axis.map(&3.1, (0, 1120))), (60, 1060));
    }

    #[test]
    fn labels_of_logarithms_have_two_digits_that_count() {
        let labels = [1.5, 0.5, -0.5, -2.0].map(|y| Labels::Logarithm.of(y));
        assert_eq!(labels, ["32", "3.2", "0.32", "0.010"]);
        assert_eq!(Labels::Decimals(1).of(2.25), "2.2");
        assert_eq!([0.0, -3.0, -4.5].map(|y| Labels::Powers.of(y)), ["1e0", "1e-3", "3e-5"]);
    }

    #[test]
    fn decades_hold_what_is_positive() {
        assert_eq!(decades([0.0, 0.02, 3.0, f64::NAN].into_iter()), -2.0..1.0);
        assert_eq!(decades([1.0].into_iter()), 0.0..1.0);
        assert_eq!(decades([0.0].into_iter()), -1.0..0.0);
    }

    #[test]
    fn steps_are_labelled_powers_of_two_apart() {
        let places = |first, last| step_ticks(first, last).key_points(9);
        assert_eq!(places(0, 32), [0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 24.0, 28.0, 32.0]);
        assert_eq!(places(1, 3), [1.0, 2.0, 3.0]);
        assert_eq!(places(1, 9), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    }

    #[test]
    fn the_ramp_begins_dark_and_ends_light() {
        let light = |share| {
            let RGBColor(red, green, blue) = ramp(share);
            2 * u32::from(red) + 5 * u32::from(green) + u32::from(blue)
        };
        let all: Vec<u32> = (0..=20).map(|i| light(f64::from(i) / 20.0)).collect();
        assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
        assert_eq!(ramp(f64::NAN), ramp(-1.0));
    }

    #[test]
    fn axes_of_one_tick_or_none_have_a_length() {
        let one = Axis::over([(2.0, "4".to_owned())].into_iter());
        assert_eq!((one.range(), one.map(&2.0, (0, 100))), (1.5..2.5, 50));
        assert_eq!(Axis::over(std::iter::empty()).range(), -0.5..0.5);
    }
}
