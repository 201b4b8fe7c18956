use std::sync::Arc;

use super::*;
use crate::host::Host;
use crate::host::fake::empty;
use crate::host::fake::http::FakeHttp;

fn service() -> (Arc<FakeHttp>, StepContext) {
    let http = Arc::new(FakeHttp::default());
    let host = Host { http: Arc::clone(&http) as Arc<_>, ..empty() };
    (http, StepContext::silent(Arc::new(host)))
}

/// A session whose token was issued.
fn session<'a>(context: &'a StepContext, known: &'a Mutex<Option<String>>) -> Session<'a> {
    let administrator = Administrator { user: "admin", project: "admin", password: "secret" };
    Session { context, url: "http://192.0.2.1:5000/v3".to_owned(), administrator, known }
}

fn issued() -> Mutex<Option<String>> {
    Mutex::new(Some("t0ken".to_owned()))
}

fn token(id: &str) -> Result<Response> {
    let headers = vec![("x-subject-token".to_owned(), id.to_owned())];
    Ok(Response { status: 201, headers, ..Response::default() })
}

fn asked(http: &FakeHttp) -> usize {
    http.requests.lock().unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_request_that_no_member_answered_is_repeated_until_one_does() {
    for (method, lost) in [("GET", 502), ("PATCH", 503), ("PUT", 503), ("DELETE", 504)] {
        let (http, context) = service();
        http.answer(method, "/users", lost, "<html>no server is available</html>");
        let begun = Instant::now();
        let known = issued();
        let session = session(&context, &known);
        let (answer, ()) = tokio::join!(session.send(method, "/users", None), async {
            sleep(Duration::from_millis(2200)).await;
            http.answer(method, "/users", 200, r#"{"users": []}"#);
        });
        assert_eq!(answer.unwrap(), json!({ "users": [] }));
        assert_eq!((asked(&http), begun.elapsed().as_millis()), (6, 2500), "{method}");
        let requests = http.requests.lock().unwrap();
        let token = ("X-Auth-Token".to_owned(), "t0ken".to_owned());
        assert!(requests.iter().all(|request| request.headers.contains(&token)));
    }
}

#[tokio::test(start_paused = true)]
async fn patience_has_an_end() {
    let (http, context) = service();
    http.answer("GET", "/users", 503, "");
    let begun = Instant::now();
    let error = session(&context, &issued()).list("/users", "users").await.unwrap_err();
    assert_eq!(begun.elapsed(), PATIENCE);
    assert!(error.to_string().contains("GET /users"), "{error}");
    assert!(error.causes.iter().any(|cause| cause.contains("503")), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn what_makes_something_is_asked_once() {
    let (http, context) = service();
    http.answer("POST", "/users", 504, "");
    let begun = Instant::now();
    assert!(session(&context, &issued()).create("/users", "user", json!({})).await.is_err());
    assert_eq!((asked(&http), begun.elapsed()), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_answer_and_its_words_are_told() {
    for refusal in [400, 403, 409, 500, 501] {
        let (http, context) = service();
        let body = r#"{"error": {"code": 0, "message": "The name is taken."}}"#;
        http.answer("PATCH", "/users/1", refusal, body);
        let begun = Instant::now();
        let error = session(&context, &issued()).send("PATCH", "/users/1", None).await.unwrap_err();
        assert_eq!((asked(&http), begun.elapsed()), (1, Duration::ZERO), "{refusal}");
        assert!(error.causes.iter().any(|cause| cause == "The name is taken."), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_is_replaced_and_the_request_repeated() {
    for method in ["GET", "POST", "PATCH"] {
        let (http, context) = service();
        http.answer(method, "/users", 401, "");
        http.program("POST", "/auth/tokens", token("fresh"));
        let known = issued();
        let session = session(&context, &known);
        let (answer, ()) = tokio::join!(session.send(method, "/users", None), async {
            sleep(Duration::from_millis(700)).await;
            http.answer(method, "/users", 200, "{}");
        });
        assert_eq!(answer.unwrap(), json!({}), "{method}");
        assert_eq!(known.into_inner().as_deref(), Some("fresh"));
        let requests = http.requests.lock().unwrap();
        let last = requests.last().unwrap();
        assert_eq!(last.headers, [("X-Auth-Token".to_owned(), "fresh".to_owned())]);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_again_and_again_is_told_so() {
    let (http, context) = service();
    http.answer("GET", "/users", 401, r#"{"error": {"message": "Not you."}}"#);
    http.program("POST", "/auth/tokens", token("fresh"));
    let begun = Instant::now();
    let error = session(&context, &issued()).list("/users", "users").await.unwrap_err();
    assert_eq!(begun.elapsed(), PATIENCE);
    assert!(error.causes.iter().any(|cause| cause == "Not you."), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_password_that_is_refused_is_told_at_once() {
    let (http, context) = service();
    http.answer("GET", "/users", 401, "");
    http.answer("POST", "/auth/tokens", 401, "");
    let begun = Instant::now();
    let error = session(&context, &issued()).list("/users", "users").await.unwrap_err();
    assert!(begun.elapsed() <= PAUSE);
    assert!(error.to_string().contains("issue a token to `admin`"), "{error}");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_not_asked_again() {
    let (http, context) = service();
    http.fail("GET", "/users", "connection refused");
    let error = session(&context, &issued()).list("/users", "users").await.unwrap_err();
    assert!(error.causes.iter().any(|cause| cause.contains("refused")), "{error:?}");
    assert_eq!(asked(&http), 1);
}

#[tokio::test]
async fn an_empty_answer_and_a_missing_collection_are_nothing() {
    let (http, context) = service();
    http.answer("DELETE", "/users/1", 204, "");
    http.answer("GET", "/users", 200, "{}");
    let known = issued();
    let session = session(&context, &known);
    assert_eq!(session.send("DELETE", "/users/1", None).await.unwrap(), Value::Null);
    assert_eq!(session.list("/users", "users").await.unwrap(), Vec::<Value>::new());
}

#[test]
fn an_element_is_found_by_all_of_its_fields() {
    let elements = [
        json!({ "id": "1", "name": "a", "domain_id": "x" }),
        json!({ "id": "2", "name": "a", "domain_id": "y" }),
    ];
    assert_eq!(find_id(&elements, &[("name", "a"), ("domain_id", "y")]).as_deref(), Some("2"));
    assert_eq!(find_id(&elements, &[("name", "b")]), None);
}
