//! What the values of flags may be.

use std::net::SocketAddr;

/// `:8080` means every address of the machine, as in Kubernetes' own programs.
pub(super) fn bind_address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') {
        format!("[::]{text}")
    } else {
        text.to_owned()
    };
    full.parse()
        .map_err(|_| "write ADDRESS:PORT or :PORT".to_owned())
}

/// The name of a namespace, or nothing.
pub(super) fn namespace_name(text: &str) -> Result<String, String> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = text.len() <= 63
        && text.bytes().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if is_name {
        Ok(text.to_owned())
    } else {
        Err("write names of namespaces, separated by commas, without patterns".to_owned())
    }
}

/// A base address: https, a host, nothing behind it.
pub(super) fn https_address(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|_| "write https://HOST".to_owned())?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if url.scheme() == "https" && url.domain().is_some() && url.username().is_empty() && bare {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err("write https://HOST, with a port if any, and nothing behind it".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_an_address() {
        assert_eq!(bind_address(":8080").unwrap().port(), 8080);
        assert!(bind_address("127.0.0.1:0").unwrap().ip().is_loopback());
        assert!(bind_address("8080").is_err());
    }

    #[test]
    fn a_namespace_is_named_in_full() {
        for (text, is_name) in [
            ("team-a", true),
            ("", true),
            ("team-*", false),
            ("-a", false),
            ("A", false),
        ] {
            assert_eq!(namespace_name(text).is_ok(), is_name, "{text}");
        }
    }
}
