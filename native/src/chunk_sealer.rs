//! Encrypts the chunks of a recording, as `src/sinks/recorder/encryption/FORMAT.md` describes them, with the OpenSSL that is
//! part of Node: the same code as that of `node:crypto`, without the objects that it makes for each chunk.
//! `native/addon.d.ts` declares the types.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr::{null, null_mut};

use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::SharedBytes;

/// Offsets in the scratch memory: SCRATCH of `src/sinks/recorder/encryption/chunk-format.ts`.
mod scratch {
    /// Digest of everything up to the end of the chunk's header, which this writes.
    pub const NEXT_DIGEST: usize = 0;
    pub const KEY: usize = 32;
    /// Nonce of 12 bytes.
    pub const NONCE: usize = 64;
    /// Digest of everything before the chunk.
    pub const DIGEST: usize = 80;
    /// Behind the first 32 bytes of the chunk's header. This writes it.
    pub const TAG: usize = 144;
    pub const CONTENT: usize = 160;
}
const AUTHENTICATED_BYTES: c_int = (scratch::TAG - scratch::DIGEST) as c_int;
const DIGESTED_BYTES: usize = scratch::CONTENT - scratch::DIGEST;
const TAG_BYTES: c_int = 16;
/// EVP_CTRL_GCM_GET_TAG.
const GET_TAG: c_int = 0x10;

type Handle = *mut c_void;

/// The functions of OpenSSL that are used, by their names in openssl/evp.h.
struct Evp {
    cipher_new: unsafe extern "C" fn() -> Handle,
    cipher_free: unsafe extern "C" fn(Handle),
    aes_256_gcm: unsafe extern "C" fn() -> Handle,
    encrypt_init: unsafe extern "C" fn(Handle, Handle, Handle, *const u8, *const u8) -> c_int,
    encrypt_update: unsafe extern "C" fn(Handle, *mut u8, *mut c_int, *const u8, c_int) -> c_int,
    encrypt_final: unsafe extern "C" fn(Handle, *mut u8, *mut c_int) -> c_int,
    cipher_control: unsafe extern "C" fn(Handle, c_int, c_int, *mut c_void) -> c_int,
    digest_new: unsafe extern "C" fn() -> Handle,
    digest_free: unsafe extern "C" fn(Handle),
    sha256: unsafe extern "C" fn() -> Handle,
    digest_init: unsafe extern "C" fn(Handle, Handle, Handle) -> c_int,
    digest_update: unsafe extern "C" fn(Handle, *const u8, usize) -> c_int,
    digest_final: unsafe extern "C" fn(Handle, *mut u8, *mut c_uint) -> c_int,
}

impl Evp {
    /// Node makes the functions of its OpenSSL available to addons. None where they are not, or not by these names.
    fn load() -> Option<Self> {
        // Only OpenSSL itself has it, from 3.0 on. Others with functions of these names, as BoringSSL in Electron, do not
        // allow null for an algorithm that a context has already.
        symbol(c"OPENSSL_version_major")?;
        // SAFETY: the types are those of openssl/evp.h.
        unsafe {
            Some(Self {
                cipher_new: function(c"EVP_CIPHER_CTX_new")?,
                cipher_free: function(c"EVP_CIPHER_CTX_free")?,
                aes_256_gcm: function(c"EVP_aes_256_gcm")?,
                encrypt_init: function(c"EVP_EncryptInit_ex")?,
                encrypt_update: function(c"EVP_EncryptUpdate")?,
                encrypt_final: function(c"EVP_EncryptFinal_ex")?,
                cipher_control: function(c"EVP_CIPHER_CTX_ctrl")?,
                digest_new: function(c"EVP_MD_CTX_new")?,
                digest_free: function(c"EVP_MD_CTX_free")?,
                sha256: function(c"EVP_sha256")?,
                digest_init: function(c"EVP_DigestInit_ex")?,
                digest_update: function(c"EVP_DigestUpdate")?,
                digest_final: function(c"EVP_DigestFinal_ex")?,
            })
        }
    }
}

/// # Safety
///
/// `F` is the type of the function of that name.
unsafe fn function<F>(name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<Handle>()) };
    let found = symbol(name)?;
    // SAFETY: the address of a function, of the same size.
    Some(unsafe { std::mem::transmute_copy::<Handle, F>(&found) })
}

#[cfg(unix)]
fn symbol(name: &CStr) -> Option<Handle> {
    unsafe extern "C" {
        fn dlsym(handle: Handle, name: *const c_char) -> Handle;
    }
    /// RTLD_DEFAULT: whatever the process has.
    const PROCESS: isize = if cfg!(target_vendor = "apple") { -2 } else { 0 };
    // SAFETY: the name ends with a zero byte.
    let found = unsafe { dlsym(PROCESS as Handle, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

#[cfg(not(unix))]
fn symbol(_name: &CStr) -> Option<Handle> {
    None
}

/// Both contexts are made once: OpenSSL looks its algorithms up only for a new one.
#[napi]
pub struct NativeChunkSealer {
    evp: Evp,
    cipher: Handle,
    digest: Handle,
    scratch: SharedBytes,
}

#[napi]
impl NativeChunkSealer {
    /// Throws where the OpenSSL of Node cannot be used.
    #[napi(constructor, catch_unwind)]
    pub fn new(scratch: SharedBytes) -> Result<Self> {
        let evp = Evp::load().ok_or_else(|| Error::from_reason("This Node does not export its OpenSSL."))?;
        if scratch.length < scratch::CONTENT {
            return Err(Error::from_reason("The scratch memory is too small."));
        }
        // SAFETY: these have no conditions.
        let (cipher, digest) = unsafe { ((evp.cipher_new)(), (evp.digest_new)()) };
        // From here on drop() frees them.
        let sealer = Self { evp, cipher, digest, scratch };
        let Self { evp, .. } = &sealer;
        // SAFETY: only contexts that could be made are given algorithms, which may be null: then the call fails.
        let is_ready = !cipher.is_null()
            && !digest.is_null()
            && unsafe {
                (evp.encrypt_init)(cipher, (evp.aes_256_gcm)(), null_mut(), null(), null()) == 1
                    && (evp.digest_init)(digest, (evp.sha256)(), null_mut()) == 1
            };
        if is_ready { Ok(sealer) } else { Err(Error::from_reason("The OpenSSL of this Node has no AES-256-GCM.")) }
    }

    /// Encrypts the `length` bytes behind the header where they are, and makes the tag and the next digest.
    #[napi(catch_unwind)]
    pub fn seal(&mut self, length: u32) -> Result<()> {
        if self.scratch.length - scratch::CONTENT < length as usize {
            return Err(Error::from_reason("The content is longer than the scratch memory."));
        }
        let Self { evp, cipher, digest, scratch } = self;
        let (cipher, digest) = (*cipher, *digest);
        // SAFETY: all parts are within the scratch memory, which is kept as long as this, and which only the thread that
        // made this uses. Encrypting in place is allowed for this mode.
        let is_sealed = unsafe {
            let at = |offset: usize| scratch.address.add(offset);
            let (content, end) = (at(scratch::CONTENT), at(scratch::CONTENT).add(length as usize));
            let mut written: c_int = 0;
            let mut digest_bytes: c_uint = 0;
            (evp.encrypt_init)(cipher, null_mut(), null_mut(), at(scratch::KEY), at(scratch::NONCE)) == 1
                && (evp.encrypt_update)(cipher, null_mut(), &mut written, at(scratch::DIGEST), AUTHENTICATED_BYTES) == 1
                && (length == 0 || (evp.encrypt_update)(cipher, content, &mut written, content, length as c_int) == 1)
                && (evp.encrypt_final)(cipher, end, &mut written) == 1
                && (evp.cipher_control)(cipher, GET_TAG, TAG_BYTES, at(scratch::TAG).cast()) == 1
                && (evp.digest_init)(digest, null_mut(), null_mut()) == 1
                && (evp.digest_update)(digest, at(scratch::DIGEST), DIGESTED_BYTES) == 1
                && (evp.digest_final)(digest, at(scratch::NEXT_DIGEST), &mut digest_bytes) == 1
        };
        if is_sealed { Ok(()) } else { Err(Error::from_reason("OpenSSL did not encrypt a chunk.")) }
    }
}

impl Drop for NativeChunkSealer {
    fn drop(&mut self) {
        // SAFETY: each was made by its own function, and is freed once; null is skipped. OpenSSL erases what it held.
        unsafe {
            (self.evp.cipher_free)(self.cipher);
            (self.evp.digest_free)(self.digest);
        }
    }
}
