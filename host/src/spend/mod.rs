//! What calls have cost: from the end of a call to the database, off the request's path.
