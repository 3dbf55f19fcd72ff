//! Which country an address is in, by a database in MaxMind's format.

use maxminddb::{MaxMindDbError, Reader, path};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// Knows addresses' countries, or none.
#[derive(Clone, Default)]
pub struct Countries(Option<Arc<Reader<Vec<u8>>>>);

impl Countries {
    /// Reads a database such as GeoLite2-Country whole into memory; it is some megabytes.
    ///
    /// # Errors
    /// If it cannot be read or is of another format.
    pub fn open(path: &Path) -> Result<Self, MaxMindDbError> {
        Reader::open_readfile(path).map(|reader| Countries(Some(Arc::new(reader))))
    }

    /// ISO 3166-1 alpha-2; `None` if it is not known.
    pub fn country(&self, address: IpAddr) -> Option<String> {
        let found = self.0.as_ref()?.lookup(address.to_canonical()).ok()?;
        found.decode_path(&path!["country", "iso_code"]).ok()?
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// `DE` for IPv4 addresses below 128.0.0.0, nothing for the others.
    pub(crate) fn half_german() -> Countries {
        Countries(Some(Arc::new(Reader::from_source(database()).unwrap())))
    }

    /// Appends a short string of the database's data format.
    fn string(out: &mut Vec<u8>, text: &str) {
        assert!(text.len() < 29);
        out.push(0x40 | text.len() as u8);
        out.extend_from_slice(text.as_bytes());
    }

    /// A database of IPv4 addresses: `DE` for those below 128.0.0.0, nothing for the others. Source: MaxMind DB file format 2.0.
    fn database() -> Vec<u8> {
        // One node of two 24-bit records: the data's first byte (nodes + 16), and "not found" (nodes).
        let mut out = vec![0, 0, 17, 0, 0, 1];
        out.extend_from_slice(&[0; 16]);
        out.push(0xe1);
        string(&mut out, "country");
        out.push(0xe1);
        string(&mut out, "iso_code");
        string(&mut out, "DE");
        out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        out.push(0xe9);
        for (name, number) in [("binary_format_major_version", 2u8), ("binary_format_minor_version", 0)] {
            string(&mut out, name);
            out.extend_from_slice(if number == 0 { &[0xa0] } else { &[0xa1, 2] });
        }
        for (name, number) in [("ip_version", 4u8), ("record_size", 24)] {
            string(&mut out, name);
            out.extend_from_slice(&[0xa1, number]);
        }
        string(&mut out, "node_count");
        out.extend_from_slice(&[0xc1, 1]);
        string(&mut out, "build_epoch");
        out.extend_from_slice(&[0x01, 0x02, 1]);
        string(&mut out, "database_type");
        string(&mut out, "Test-Country");
        string(&mut out, "languages");
        out.extend_from_slice(&[0x00, 0x04]);
        string(&mut out, "description");
        out.push(0xe0);
        out
    }

    #[test]
    fn a_country_is_read_and_what_is_not_there_is_not_known() {
        let countries = half_german();
        assert_eq!(countries.country("10.1.2.3".parse().unwrap()).as_deref(), Some("DE"));
        assert_eq!(countries.country("::ffff:10.1.2.3".parse().unwrap()).as_deref(), Some("DE"));
        assert_eq!(countries.country("192.0.2.1".parse().unwrap()), None);
        assert_eq!(countries.country("2001:db8::1".parse().unwrap()), None);
        assert_eq!(Countries::default().country("10.1.2.3".parse().unwrap()), None);
        assert!(Countries::open(Path::new("/no/such/file")).is_err());
    }
}
