//! The memory that this thread shares with others. It is accessed in three ways only: words that several threads may
//! access at the same time, as atomics; records, as slices, by the side that has claimed them; and the silence state
//! of a stream, by the shard that owns the stream.

use std::ptr::NonNull;
use std::sync::atomic::AtomicI32;

const CACHE_LINE: usize = 64;
/// Every page is this long, or a multiple of it.
#[cfg(all(target_os = "linux", not(miri)))]
const PAGE: usize = 4_096;

/// A hint to the processor that all of `value` is needed soon.
pub fn prefetch<T>(value: &T) {
    for at in (0..size_of::<T>()).step_by(CACHE_LINE) {
        prefetch_line(std::ptr::from_ref(value).cast::<u8>().wrapping_add(at));
    }
}

/// The same of memory that is going to be written.
pub fn prefetch_to_write<T>(values: &[T]) {
    for at in (0..size_of_val(values)).step_by(CACHE_LINE) {
        prefetch_line_to_write(values.as_ptr().cast::<u8>().wrapping_add(at));
    }
}

/// Of the line of memory at `address`, whatever that is.
fn prefetch_line(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: prefetching reads nothing, and any address may be given.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

/// The same of a line that is going to be written, which this processor's core alone will then have.
fn prefetch_line_to_write(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: prefetching changes nothing, and any address may be given. Every processor with 64 bits knows the
    // instruction, older ones as one that does nothing.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

/// Asks the system for large pages for the `bytes` bytes at `address`, which are used in no order: with small ones, the
/// processor looks up where each of them lies nearly every time. It is to be called before they are written first.
pub fn use_large_pages(address: *const u8, bytes: usize) {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        use std::ffi::{c_int, c_void};
        const MADV_HUGEPAGE: c_int = 14;
        unsafe extern "C" {
            fn madvise(address: *const c_void, length: usize, advice: c_int) -> c_int;
        }
        let from = address.addr() & !(PAGE - 1);
        let to = (address.addr() + bytes).next_multiple_of(PAGE);
        // SAFETY: it changes nothing that a program can see. Where the system does not know it, it fails.
        unsafe { madvise(address.with_addr(from).cast(), to - from, MADV_HUGEPAGE) };
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _ = (address, bytes);
}

#[derive(Clone, Copy, Debug)]
pub struct Memory {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: a Memory is only an address; every access through it has its own justification.
unsafe impl Send for Memory {}

impl Memory {
    /// None unless `base` is a multiple of 8, without which no record is aligned.
    ///
    /// # Safety
    /// The `length` bytes at `base` must stay readable and writable for as long as the value or a copy of it is in
    /// use, and must be accessed by other threads according to the layout only.
    pub unsafe fn new(base: *mut u8, length: usize) -> Option<Self> {
        let base = NonNull::new(base)?;
        base.cast::<u64>().is_aligned().then_some(Self { base, length })
    }

    /// Address of `bytes` bytes at `offset`.
    ///
    /// # Panics
    /// When they do not lie within the memory at a multiple of `align`.
    pub(crate) fn address(&self, offset: usize, bytes: usize, align: usize) -> *mut u8 {
        let inside = self.length.checked_sub(bytes).is_some_and(|last| offset <= last);
        assert!(inside && offset.is_multiple_of(align), "{bytes} bytes at {offset} of {}", self.length);
        // SAFETY: the assertion keeps the offset within the memory that new() was promised.
        unsafe { self.base.as_ptr().add(offset) }
    }

    /// Begins to fetch what lies in `bytes` bytes at `offset`, so that it is there when it is read a microsecond later.
    ///
    /// # Panics
    /// When they do not lie within the memory.
    pub fn prefetch(&self, offset: usize, bytes: usize) {
        let from = self.address(offset, bytes, 1);
        for line in (0..bytes).step_by(CACHE_LINE) {
            prefetch_line(from.wrapping_add(line));
        }
    }

    /// The same for memory that is going to be written.
    ///
    /// # Panics
    /// As prefetch().
    pub fn prefetch_to_write(&self, offset: usize, bytes: usize) {
        let from = self.address(offset, bytes, 1);
        for line in (0..bytes).step_by(CACHE_LINE) {
            prefetch_line_to_write(from.wrapping_add(line));
        }
    }

    /// A word that several threads read and write.
    pub fn word(&self, offset: usize) -> &AtomicI32 {
        let address = self.address(offset, size_of::<i32>(), align_of::<i32>()).cast();
        // SAFETY: inside the memory and aligned; words of the layout are accessed by atomic operations only.
        unsafe { AtomicI32::from_ptr(address) }
    }
}
