//! What the nodes count themselves, read from `/metrics`: histograms, as differences of two readings.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::Wrong;

const PATIENCE: Duration = Duration::from_secs(20);

/// The histograms of one or more nodes at one moment.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    histograms: BTreeMap<String, Histogram>,
}

/// Observations by their upper bound; cumulative, as Prometheus has them.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Upper bound and observations up to it, ascending; the bound of the last is infinite.
    buckets: Vec<(f64, u64)>,
    sum: f64,
}

impl Reading {
    /// Asks the node at `url`. Blocks its thread.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn take(url: &str) -> Result<Self, Wrong> {
        let address = url.trim_start_matches("http://");
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            // HTTP/1.0: the answer ends with the connection and comes in one piece.
            write!(stream, "GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        ask().map(|text| Self::parse(&text)).map_err(Wrong::of)
    }

    /// The histograms in a text of Prometheus' form.
    fn parse(text: &str) -> Self {
        let mut reading = Self::default();
        for line in text.lines() {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            if let Some((name, bound)) = series.split_once("_bucket{le=\"")
                && let Ok(count) = value.parse()
            {
                let bound = bound.trim_end_matches("\"}").parse().unwrap_or(f64::INFINITY);
                reading.histograms.entry(name.to_owned()).or_default().buckets.push((bound, count));
            } else if let Some(name) = series.strip_suffix("_sum")
                && let Ok(sum) = value.parse()
            {
                reading.histograms.entry(name.to_owned()).or_default().sum = sum;
            }
        }
        reading
    }

    /// What was observed between `earlier` and this, of one name.
    pub fn since(&self, earlier: &Self, name: &str) -> Histogram {
        let mut of = self.histograms.get(name).cloned().unwrap_or_default();
        if let Some(before) = earlier.histograms.get(name) {
            for ((_, count), (_, was)) in of.buckets.iter_mut().zip(&before.buckets) {
                *count = count.saturating_sub(*was);
            }
            of.sum -= before.sum;
        }
        of
    }
}

impl Histogram {
    /// Adds what another node observed of the same.
    pub fn add(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            *self = other.clone();
            return;
        }
        for ((_, count), (_, more)) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
        self.sum += other.sum;
    }

    /// Observations.
    pub fn count(&self) -> u64 {
        self.buckets.last().map_or(0, |(_, count)| *count)
    }

    /// Their mean; 0 without any.
    pub fn mean(&self) -> f64 {
        if self.count() == 0 { 0.0 } else { self.sum / self.count() as f64 }
    }

    /// The value that a share of the observations does not exceed, interpolated within its bucket.
    pub fn quantile(&self, share: f64) -> f64 {
        let rank = share * self.count() as f64;
        let mut below = (0.0, 0);
        for (bound, count) in &self.buckets {
            if *count as f64 >= rank && *count > below.1 {
                if bound.is_infinite() {
                    return below.0;
                }
                let within = (rank - below.1 as f64) / (*count - below.1) as f64;
                return below.0 + (bound - below.0) * within;
            }
            below = (*bound, *count);
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "\
# HELP consign_x_seconds X.
consign_x_seconds_sum 1.0
consign_x_seconds_count 2
consign_x_seconds_bucket{le=\"0.5\"} 2
consign_x_seconds_bucket{le=\"1.0\"} 2
consign_x_seconds_bucket{le=\"+Inf\"} 2
consign_height 7
";
    const AFTER: &str = "\
consign_x_seconds_sum 4.0
consign_x_seconds_count 6
consign_x_seconds_bucket{le=\"0.5\"} 2
consign_x_seconds_bucket{le=\"1.0\"} 6
consign_x_seconds_bucket{le=\"+Inf\"} 6
";

    #[test]
    fn a_difference_of_readings_tells_of_the_time_between_them() {
        let name = "consign_x_seconds";
        let since = Reading::parse(AFTER).since(&Reading::parse(BEFORE), name);
        assert_eq!((since.count(), since.mean()), (4, 0.75));
        assert_eq!((since.quantile(0.5), since.quantile(1.0)), (0.75, 1.0));
        assert_eq!(Reading::default().since(&Reading::default(), name).quantile(0.5), 0.0);
    }
}
