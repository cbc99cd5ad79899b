//! The forms that a trait may have, and names that must not conflict with the macro's output.

use crate::Scene;

mod elsewhere {
    pub(crate) use callboard as rpc;
}

/// Shadows the names that the macro's code would resolve if its paths were not absolute.
#[allow(dead_code)]
mod shadows {
    pub(crate) struct Arc;
    pub(crate) struct Vec;
    pub(crate) struct Reply;
}
#[allow(unused_imports)]
use shadows::*;

#[elsewhere::rpc::service(crate = "elsewhere::rpc")]
trait HTTPForms {
    /// A method with a default body, which implementations may keep.
    #[rpc(read)]
    async fn doubled(&self, implementation: i64) -> i64 {
        implementation * 2
    }

    #[rpc(read)]
    fn halved(&self, service: i64) -> i64 {
        service / 2
    }

    #[rpc(read)]
    async fn r#type(&self, r#match: String, context: u8, client: (), error: char) -> String {
        format!("{match}{context}{client:?}{error}")
    }

    #[cfg(any())]
    async fn absent(&self, missing: Missing) -> Missing;

    #[rpc(read)]
    #[allow(clippy::too_many_arguments)]
    async fn eight(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> [u8; 8];
}

struct Forms;

impl HTTPForms for Forms {
    async fn r#type(&self, r#match: String, context: u8, client: (), error: char) -> String {
        format!("{match}{context}{client:?}{error}")
    }

    async fn eight(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> [u8; 8] {
        [a, b, c, d, e, f, g, h]
    }
}

#[tokio::test]
async fn bodies_of_the_trait_raw_names_and_shadowed_ones_work() {
    let scene = Scene::of(Forms.into_service()).await;
    let forms = HTTPFormsClient::from(scene.client.clone());
    assert_eq!(forms.doubled(21).await, Ok(42));
    assert_eq!(forms.halved(42).await, Ok(21));
    assert_eq!(forms.r#type("a".to_owned(), 1, (), 'b').await, Ok("a1()b".to_owned()));
    assert_eq!(forms.eight(1, 2, 3, 4, 5, 6, 7, 8).await, Ok([1, 2, 3, 4, 5, 6, 7, 8]));
    let by_name = scene.client.call::<i64>("http_forms.doubled", callboard::named([("implementation", 4)]));
    assert_eq!(by_name.await, Ok(8));
    let raw = callboard::ArgumentMap::new().name("match", "x").name("context", 2).name("client", ()).name("error", 'y');
    assert_eq!(scene.client.call("http_forms.type", raw).await, Ok("x2()y".to_owned()));
}
