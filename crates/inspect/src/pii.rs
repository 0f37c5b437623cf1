//! Personal data: e-mail, phone, cards, account and identity numbers.
