//! `user_secrets.yml`: specification, generation, editing.
