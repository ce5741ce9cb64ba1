//! Messages of the kernel, or of something that says it is: whatever they hold, they are taken apart or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nslab_kernel::fuzz::decode(data));
