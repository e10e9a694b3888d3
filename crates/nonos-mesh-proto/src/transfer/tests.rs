//! Tests of the transfer as a whole: content and formats, liars, restarts, seeders under attack.

mod content;
mod cost;
mod download;
mod formats;
mod liars;
mod upload;
