//! Where a list is read on: what a caller's cursor says, which is any number.

use consign_rpc::errors::RpcError;
use consign_rpc::page::Cursor;

/// The place to read next in the list `feed`: that of the cursor, or `fresh` where there is none or it is the start.
///
/// # Errors
/// When the cursor is of another list.
pub(super) fn place(cursor: Option<&Cursor>, feed: &str, fresh: u64) -> Result<u64, RpcError> {
    let Some(cursor) = cursor.filter(|cursor| **cursor != Cursor::start()) else {
        return Ok(fresh);
    };
    cursor.next_in(feed).ok_or_else(|| RpcError::stale_cursor("the cursor is of another list"))
}

#[cfg(test)]
mod tests {
    use consign_rpc::errors::ErrorKind;

    use super::*;

    #[test]
    fn a_cursor_says_where_its_own_list_goes_on_and_nothing_of_others() {
        let far = Cursor::at("blocks", u64::MAX);
        assert_eq!(place(None, "blocks", 7), Ok(7));
        assert_eq!(place(Some(&Cursor::start()), "blocks", 7), Ok(7));
        assert_eq!(place(Some(&far), "blocks", 7), Ok(u64::MAX));
        let other = place(Some(&far), "devices", 7).expect_err("of another list");
        assert_eq!(other.kind, ErrorKind::StaleCursor);
    }
}
