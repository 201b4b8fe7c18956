//! What APT says of its progress on its status descriptor.

/// How far APT is with installing, in percent: `pmstatus:PACKAGE:PERCENT:TEXT`.
pub fn percent(line: &str) -> Option<f64> {
    let rest = line.strip_prefix("pmstatus:")?;
    // A package of another architecture has a colon of its own: the percentage is the first field
    // that is a number.
    rest.split(':').skip(1).find_map(|field| field.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentage_is_found() {
        assert_eq!(percent("pmstatus:haproxy:25.5:Unpacking haproxy (amd64)"), Some(25.5));
        assert_eq!(percent("pmstatus:libc6:amd64:50:Configuring"), Some(50.0));
        assert_eq!(percent("dlstatus:1:20:Retrieving file"), None);
        assert_eq!(percent("Reading package lists..."), None);
    }
}
