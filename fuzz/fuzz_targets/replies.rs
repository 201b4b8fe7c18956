//! What comes over the socket between `aio` and its helper, whose other end a container may have broken
//! into. What is read is written the same.
#![no_main]

use aio::for_tests::{Reply, Request, encode, receive};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn read<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    let Ok(value) = receive::<T>(bytes) else { return };
    let written = encode(&value).unwrap();
    let again = receive::<T>(written.as_slice()).expect("it was written by us");
    assert_eq!(encode(&again).unwrap(), written);
}

fuzz_target!(|bytes: &[u8]| {
    read::<Request>(bytes);
    read::<Reply>(bytes);
});
