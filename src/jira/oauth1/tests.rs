use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey,
};

use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

/// The example of RFC 5849, section 3.4.1. Its body, `c2&a3=2+q`, is handed in decoded, as a
/// client that sends one would.
#[test]
fn the_base_string_is_that_of_rfc_5849() {
    let text = base_string(
        "post",
        &url("http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b"),
        &[
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
            ("c2", ""),
            ("a3", "2 q"),
        ],
    );
    let expected = concat!(
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D",
        "%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce",
        "%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth",
        "_token%3Dkkk9d7dh3k39sjv7",
    );
    assert_eq!(*text, expected);
}

#[test]
fn the_address_has_a_port_only_if_it_is_not_the_usual_one() {
    // The examples of RFC 5849, section 3.4.1.2, and a context path.
    for (address, expected) in [
        (
            "http://EXAMPLE.COM:80/r%20v/X?id=123",
            "http%3A%2F%2Fexample.com%2Fr%2520v%2FX&id%3D123",
        ),
        (
            "https://www.example.net:8080/?q=1",
            "https%3A%2F%2Fwww.example.net%3A8080%2F&q%3D1",
        ),
        (
            "https://Jira.Example.com:443/jira/rest/api/2/myself",
            "https%3A%2F%2Fjira.example.com%2Fjira%2Frest%2Fapi%2F2%2Fmyself&",
        ),
    ] {
        let text = base_string("GET", &url(address), &[]);
        assert_eq!(*text, format!("GET&{expected}"));
    }
}

#[test]
fn parameters_are_ordered_by_their_encoded_names_and_values() {
    // In plain text `~` would come last and the blank first.
    let text = base_string(
        "GET",
        &url("https://a.example/"),
        &[("b", "~"), ("b", "ü"), ("b", "A"), ("a~", ""), ("a b", "")],
    );
    let pairs = "a%2520b%3D%26a~%3D%26b%3D%25C3%25BC%26b%3DA%26b%3D~";
    assert_eq!(*text, format!("GET&https%3A%2F%2Fa.example%2F&{pairs}"));
}

/// The key of the OAuth Core 1.0 test cases for RSA-SHA1 (wiki.oauth.net, test cases, section
/// 9.3), known to everybody and therefore no one's: 1024 bits, PKCS#8.
const TEST_CASE_KEY: &str = concat!(
    "MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBALRiMLAh9iimur8VA7qVvdqxevEuUkW4K+2KdMXm",
    "nQbG9Aa7k7eBjK1S+0LYmVjPKlJGNXHDGuy5Fw/d7rjVJ0BLB+ubPK8iA/Tw3hLQgXMRRGRXXCn8ikfuQfjUS1uZ",
    "SatdLB81mydBETlJhI6GH4twrbDJCR2Bwy/XWXgqgGRzAgMBAAECgYBYWVtleUzavkbrPjy0T5FMou8HX9u2AC2r",
    "y8vD/l7cqedtwMPp9k7TubgNFo+NGvKsl2ynyprOZR1xjQ7WgrgVB+mmuScOM/5HVceFuGRDhYTCObE+y1kxRloN",
    "YXnx3ei1zbeYLPCHdhxRYW7T0qcynNmwrn05/KO2RLjgQNalsQJBANeA3Q4Nugqy4QBUCEC09SqylT2K9FrrItqL",
    "2QKc9v0ZzO2uwllCbg0dwpVuYPYXYvikNHHg+aCWF+VXsb9rpPsCQQDWR9TT4ORdzoj+NccnqkMsDmzt0EfNaAOw",
    "HOmVJ2RVBspPcxt5iN4HI7HNeG6U5YsFBb+/GZbgfBT3kpNGWPTpAkBI+gFhjfJvRw38n3g/+UeAkwMI2TJQS4n8",
    "+hid0uus3/zOjDySH3XHCUnocn1xOJAyZODBo47E+67R4jV1/gzbAkEAklJaspRPXP877NssM5nAZMU0/O/NGCZ+",
    "3jPgDUno6WbJn5cqm8MqWhW1xGkImgRk+fkDBquiq4gPiT898jusgQJAd5Zrr6Q8AO/0isr/3aa6O6NLQxISLKcP",
    "Dk2NOccAfS/xOtfOz4sJYM3+Bs4Io9+dZGSDCA54Lw03eHTNQghS0A==",
);

fn key(der: &[u8]) -> Arc<RsaKey> {
    let body = STANDARD.encode(der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----");
    Arc::new(RsaKey::from_pem(&pem).unwrap())
}

/// The signature of the same test case. The request is spelled "vacaction" there.
#[test]
fn the_signature_is_that_of_the_published_test_case() {
    let key = key(&STANDARD.decode(TEST_CASE_KEY).unwrap());
    let text = base_string(
        "GET",
        &url("http://photos.example.net/photos?file=vacaction.jpg&size=original"),
        &[
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_nonce", "13917289812797014437"),
            ("oauth_signature_method", "RSA-SHA1"),
            ("oauth_timestamp", "1196666512"),
            ("oauth_version", "1.0"),
        ],
    );
    let expected = concat!(
        "jvTp/wX1TYtByB1m+Pbyo0lnCOLIsyGCH7wke8AUs3BpnwZJtAuEJkvQL2/9n4s5wUmUl4aCI4BwpraNx4RtEXMe",
        "5qg5T1LVTGliMRpKasKsW//e+RinhejgCuzoH26dyF8iY2ZZ/5D1ilgeijhV/vBka5twt399mXwaYdCwFYE=",
    );
    for _ in 0..2 {
        assert_eq!(rsa_sha1(&key, &text).as_deref(), Some(expected));
    }
}

fn signer() -> (Signer, UnparsedPublicKey<Vec<u8>>) {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let signer = Signer {
        consumer_key: "key with \"quotes\" & more".to_owned(),
        token: "to=ken/+".to_owned().into(),
        key: key(private.as_ref()),
    };
    let parameters = &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY;
    let public = UnparsedPublicKey::new(parameters, public.as_ref().to_vec());
    (signer, public)
}

/// The other implementation verifies what is signed here, over a base string that is written out.
#[test]
fn a_header_carries_what_was_signed_and_every_value_is_encoded() {
    let (signer, public) = signer();
    let url = url("https://jira.example:8443/jira/rest/api/2/myself");
    let header = signer.sign("GET", &url, 1_793_880_000, "n0nce").unwrap();
    let (head, signature) = header.rsplit_once(", oauth_signature=").unwrap();
    assert_eq!(
        head,
        "OAuth oauth_consumer_key=\"key%20with%20%22quotes%22%20%26%20more\", \
         oauth_nonce=\"n0nce\", oauth_signature_method=\"RSA-SHA1\", \
         oauth_timestamp=\"1793880000\", oauth_token=\"to%3Dken%2F%2B\", oauth_version=\"1.0\""
    );
    let text = "GET&https%3A%2F%2Fjira.example%3A8443%2Fjira%2Frest%2Fapi%2F2%2Fmyself&\
        oauth_consumer_key%3Dkey%2520with%2520%2522quotes%2522%2520%2526%2520more%26\
        oauth_nonce%3Dn0nce%26oauth_signature_method%3DRSA-SHA1%26\
        oauth_timestamp%3D1793880000%26oauth_token%3Dto%253Dken%252F%252B%26oauth_version%3D1.0";
    let signature = signature.trim_matches('"').replace("%2B", "+");
    let signature = signature.replace("%2F", "/").replace("%3D", "=");
    let signature = STANDARD.decode(signature).unwrap();
    public.verify(text.as_bytes(), &signature).unwrap();
    public.verify(b"another text", &signature).unwrap_err();
}

#[test]
fn no_two_requests_are_alike() {
    let (signer, _) = signer();
    let url = url("https://jira.example/rest/api/2/myself");
    let now = DateTime::UNIX_EPOCH + Duration::from_secs(1_793_880_000);
    let first = signer.authorization(&url, now).unwrap();
    let second = signer.authorization(&url, now).unwrap();
    assert_ne!(*first, *second);
    assert!(first.contains("oauth_timestamp=\"1793880000\""));
}

#[test]
fn debug_output_is_silent() {
    let (signer, _) = signer();
    let text = format!("{signer:?} {signer:#?}");
    assert!(
        !text.contains("to=ken") && !text.contains("quotes"),
        "{text}"
    );
}
