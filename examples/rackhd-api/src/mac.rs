//! MAC addresses, as RackHD writes them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A MAC address. Written in lower case with colons, which is what RackHD demands; read in any case, and with dashes, too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddress(pub [u8; 6]);

/// This is no MAC address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no MAC address: six pairs of hexadecimal digits with `:` between them")]
pub struct NotAMacAddress(String);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddress {
    type Err = NotAMacAddress;

    fn from_str(text: &str) -> Result<Self, NotAMacAddress> {
        let wrong = || NotAMacAddress(text.chars().take(64).collect());
        let mut pairs = text.split([':', '-']);
        let mut octets = [0; 6];
        for octet in &mut octets {
            let pair = pairs.next().filter(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()));
            *octet = u8::from_str_radix(pair.ok_or_else(wrong)?, 16).map_err(|_| wrong())?;
        }
        if pairs.next().is_some() { Err(wrong()) } else { Ok(MacAddress(octets)) }
    }
}

impl Serialize for MacAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_in_any_spelling_and_written_in_one() {
        for text in ["08:00:27:52:d2:a4", "08-00-27-52-D2-A4"] {
            assert_eq!(text.parse::<MacAddress>().unwrap().to_string(), "08:00:27:52:d2:a4");
        }
        for text in ["", "08:00:27:52:d2", "08:00:27:52:d2:a4:00", "8:0:27:52:d2:a4", "+8:00:27:52:d2:a4"] {
            assert!(text.parse::<MacAddress>().is_err(), "{text}");
        }
    }
}
