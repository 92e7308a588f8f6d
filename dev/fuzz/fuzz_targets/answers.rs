//! See `properties::answers`.

#![no_main]

#[path = "../properties/mod.rs"]
#[allow(dead_code, reason = "each target checks one of them")]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::answers::hold(input));
