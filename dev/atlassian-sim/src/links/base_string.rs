//! The signature base string (RFC 5849, section 3.4.1), from a request as it arrived.

/// Builds it from the method, Jira's idea of the address, the query as sent, and the decoded
/// parameters of the header.
pub(super) fn build(
    method: &str,
    address: &str,
    query: &str,
    header: &[(String, String)],
) -> String {
    let query = form_urlencoded::parse(query.as_bytes()).into_owned();
    let header = header
        .iter()
        .filter(|(name, _)| name != "realm" && name != "oauth_signature")
        .cloned();
    let mut encoded: Vec<[String; 2]> = query
        .chain(header)
        .map(|(name, value)| [escape(&name), escape(&value)])
        .collect();
    encoded.sort();
    let pairs: Vec<String> = encoded.iter().map(|pair| pair.join("=")).collect();
    [method, &normal(address), &pairs.join("&")]
        .map(escape)
        .join("&")
}

/// The address with scheme and host in lower case and without the port that goes without saying
/// (section 3.4.1.2).
fn normal(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let scheme = scheme.to_ascii_lowercase();
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = authority.to_ascii_lowercase();
    let implied = match scheme.as_str() {
        "https" => ":443",
        _ => ":80",
    };
    let authority = authority.strip_suffix(implied).unwrap_or(&authority);
    format!("{scheme}://{authority}{path}")
}

/// Percent-encoding of section 3.6.
fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// The example of section 3.4.1.1; its body's parameters are handed in with the header's.
    #[test]
    fn the_example_of_the_rfc() {
        let header = pairs(&[
            ("realm", "Example"),
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
            ("oauth_signature", "bYT5CMsGcbgUdFHObYMEfcx6bsw="),
            ("c2", ""),
            ("a3", "2 q"),
        ]);
        let query = "b5=%3D%253D&a3=a&c%40=&a2=r%20b";
        assert_eq!(
            build("POST", "HTTP://Example.com:80/request", query, &header),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D\
             %253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26\
             oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D1371\
             31201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
    }

    #[test]
    fn addresses_lose_what_goes_without_saying() {
        for (address, expected) in [
            ("https://A.example:443/jira/x", "https://a.example/jira/x"),
            (
                "https://a.example:8443/X%20y",
                "https://a.example:8443/X%20y",
            ),
            ("http://a.example:443/", "http://a.example:443/"),
            ("http://a.example:80", "http://a.example"),
        ] {
            assert_eq!(normal(address), expected);
        }
    }
}
