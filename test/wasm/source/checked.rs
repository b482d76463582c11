//! checked.rs - a program with a line table; build.sh makes its module.
#![no_std]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

#[inline(never)]
fn pick(of: &[u8], at: usize) -> u8 {
    of[at]
}

#[no_mangle]
pub extern "C" fn digit(at: usize) -> u8 {
    let digits = b"0123456789";
    let found = pick(digits, at);
    found.wrapping_sub(b'0')
}
