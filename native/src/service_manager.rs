//! Messages to systemd. They are datagrams on a Unix socket, which Node does not have.

use napi::bindgen_prelude::*;
use napi_derive::napi;

/// Sends one message, such as `READY=1`, to the socket that NOTIFY_SOCKET names; see sd_notify(3).
#[napi]
pub fn notify_service_manager(socket: String, message: String) -> Result<()> {
    send(&socket, message.as_bytes()).map_err(|error| Error::from_reason(error.to_string()))
}

#[cfg(target_os = "linux")]
fn send(socket: &str, message: &[u8]) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    // An address that begins with @ is in the abstract name space, which has no files.
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name.as_bytes())?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let datagram = UnixDatagram::unbound()?;
    // A service manager that reads nothing must not stop the node.
    datagram.set_nonblocking(true)?;
    datagram.send_to_addr(message, &address).map(|_| ())
}

#[cfg(not(target_os = "linux"))]
fn send(_socket: &str, _message: &[u8]) -> std::io::Result<()> {
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
}
