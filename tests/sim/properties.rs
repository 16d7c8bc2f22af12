//! Random meetings: any people, lines, mishaps and wishes. Whatever happens, nobody gets what is not theirs, numbers go on, and when it
//! is over everybody sees everybody again; when all have left, nothing of them remains.
