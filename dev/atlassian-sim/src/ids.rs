//! Generated values: tokens, ids, trace ids. Nothing here is ever a real credential.

use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BASE64URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A small generator (`SplitMix64`): quick, and no secret of anybody depends on it.
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// Seeded from the process' own randomness, so that two simulators never share a token.
    pub(crate) fn from_process() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn text(&mut self, length: usize, alphabet: &[u8]) -> String {
        let size = alphabet.len().max(1) as u64;
        (0..length)
            .filter_map(|_| {
                let at = usize::try_from(self.next() % size).unwrap_or(0);
                alphabet.get(at).copied().map(char::from)
            })
            .collect()
    }

    /// 32 lower-case hex digits, the form of Atlassian's trace and request ids.
    pub(crate) fn hex32(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }

    /// A random UUID (version 4), the form of a cloudId.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }

    /// An Atlassian account id: `<6 digits>:<uuid>`.
    pub(crate) fn account_id(&mut self) -> String {
        let realm = 557_058 + self.next() % 155_000;
        format!("{realm}:{}", self.uuid())
    }

    /// A Cloud API token of the given prefix: 192 characters, the tail `=` and 8 upper-case hex
    /// digits, the CRC-32 over everything up to and including that `=` (observed).
    pub(crate) fn cloud_token(&mut self, prefix: &str) -> String {
        const LENGTH: usize = 192;
        const TAIL: usize = 9;
        let mut token = prefix.to_owned();
        token.push_str(&self.text(LENGTH - TAIL - prefix.len().min(LENGTH - TAIL), BASE64URL));
        token.push('=');
        let sum = crc32(token.as_bytes());
        // Writing to a String cannot fail.
        let _ = write!(token, "{sum:08X}");
        token
    }

    /// A Data Center personal access token: base64 of `<12 digits>:<20 random bytes>`.
    pub(crate) fn personal_access_token(&mut self) -> String {
        let mut raw = format!("{:012}:", self.next() % 1_000_000_000_000).into_bytes();
        while raw.len() < 33 {
            raw.extend_from_slice(&self.next().to_be_bytes());
        }
        raw.truncate(33);
        STANDARD.encode(raw)
    }

    /// Characters of base64url, for values that have no structure.
    pub(crate) fn opaque(&mut self, length: usize) -> String {
        self.text(length, BASE64URL)
    }

    /// The client id of an app: 32 letters and digits, as the developer console makes them.
    pub(crate) fn client_id(&mut self) -> String {
        self.text(
            32,
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        )
    }

    /// A password.
    pub(crate) fn password(&mut self) -> String {
        self.text(
            20,
            b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789",
        )
    }

    /// A few lower-case characters, for names made unique.
    pub(crate) fn suffix(&mut self) -> String {
        self.text(4, b"abcdefghijklmnopqrstuvwxyz0123456789")
    }
}

/// CRC-32 (IEEE), bit by bit: tokens are short and made rarely.
fn crc32(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let mask = (crc & 1).wrapping_neg();
            crc = (crc >> 1) ^ (0xEDB8_8320 & mask);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_matches_the_published_check_value() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn tokens_have_the_documented_shapes() {
        let mut rng = Rng::from_process();
        for prefix in ["ATATT3xFfGF0", "ATSTT3xFfGF0"] {
            let token = rng.cloud_token(prefix);
            assert_eq!(token.len(), 192);
            assert!(token.starts_with(prefix));
            let (body, sum) = token.split_at(184);
            assert!(body.ends_with('='));
            assert_eq!(format!("{:08X}", crc32(body.as_bytes())), sum);
        }
        let pat = rng.personal_access_token();
        assert_eq!(pat.len(), 44);
        assert!(pat.starts_with(['M', 'N', 'O']), "{pat}");
        assert_eq!(rng.hex32().len(), 32);
        assert_eq!(rng.uuid().len(), 36);
        let client_id = rng.client_id();
        assert_eq!(client_id.len(), 32);
        assert!(client_id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}
