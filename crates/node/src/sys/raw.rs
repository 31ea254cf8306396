//! Functions by raw Node-API, for what runs once per frame: a method of an exported class costs half a microsecond before it does
//! anything (unwrapping its object, wrapping each argument), a function like these a fifth of that.

use crate::desk::Desk;
use napi::{Env, sys};
use std::{
    ffi::{c_char, c_void},
    ptr,
    rc::Rc,
};

/// The most arguments that such a function reads.
const ARGUMENTS_MAX: usize = 3;

/// What such a function does. On the JavaScript thread.
pub(crate) type Body = fn(&Desk, &Call) -> Answer;

/// One running call.
pub(crate) struct Call {
    env: Env,
    arguments: [sys::napi_value; ARGUMENTS_MAX],
}

/// What a call gives back: `undefined`, or a value of the running call.
pub(crate) struct Answer(sys::napi_value);

impl Call {
    /// Where it runs.
    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// An argument as a number; NaN when it is none.
    pub(crate) fn number(&self, index: usize) -> f64 {
        let mut number = f64::NAN;
        // SAFETY: an argument of the running call (Node fills missing ones with `undefined`); a failure leaves the NaN.
        let _ = unsafe { sys::napi_get_value_double(self.env.raw(), self.arguments[index], &raw mut number) };
        number
    }

    /// An argument as it came.
    pub(crate) fn value(&self, index: usize) -> sys::napi_value {
        self.arguments[index]
    }

    /// A number to give back.
    pub(crate) fn give(&self, number: f64) -> Answer {
        let mut value = ptr::null_mut();
        // SAFETY: the environment of the running call; a failure leaves null, which is `undefined`.
        let _ = unsafe { sys::napi_create_double(self.env.raw(), number, &raw mut value) };
        Answer(value)
    }
}

impl Answer {
    /// Nothing to give back.
    pub(crate) const UNDEFINED: Answer = Answer(ptr::null_mut());

    /// A value that the running call has made.
    pub(crate) fn value(value: &super::buffer::RawValue) -> Self {
        Answer(value.0)
    }
}

struct Function {
    desk: Rc<Desk>,
    body: Body,
}

/// An object with a function for each row. Each keeps `desk` alive.
pub(crate) fn functions(env: &Env, desk: &Rc<Desk>, table: &[(&str, Body)]) -> napi::Result<super::buffer::RawValue> {
    let mut object = ptr::null_mut();
    // SAFETY: `env` is the environment of the running call.
    check(unsafe { sys::napi_create_object(env.raw(), &raw mut object) })?;
    for (name, body) in table {
        let function = function(env, desk, *body)?;
        let mut key = ptr::null_mut();
        // SAFETY: `name` lives across the call, and its length is given; all values belong to `env`.
        check(unsafe {
            sys::napi_create_string_utf8(
                env.raw(),
                name.as_ptr().cast::<c_char>(),
                name.len() as isize,
                &raw mut key,
            )
        })?;
        // SAFETY: all values belong to `env`.
        check(unsafe { sys::napi_set_property(env.raw(), object, key, function) })?;
    }
    Ok(super::buffer::RawValue(object))
}

fn function(env: &Env, desk: &Rc<Desk>, body: Body) -> napi::Result<sys::napi_value> {
    let data = Box::into_raw(Box::new(Function {
        desk: Rc::clone(desk),
        body,
    }))
    .cast::<c_void>();
    let mut value = ptr::null_mut();
    // SAFETY: `env` is the environment of the running call; `data` lives until `drop_function`.
    let made = unsafe { sys::napi_create_function(env.raw(), ptr::null(), 0, Some(run), data, &raw mut value) };
    if made != sys::Status::napi_ok {
        // SAFETY: Node did not take it; this is the box from above.
        drop(unsafe { Box::from_raw(data.cast::<Function>()) });
        return check(made).map(|()| value);
    }
    // SAFETY: the function owns the box from here on: it is dropped when Node has collected the function. Should this fail, the box
    // is never dropped, which is the harmless side.
    check(unsafe {
        sys::napi_add_finalizer(
            env.raw(),
            value,
            data,
            Some(drop_function),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    })?;
    Ok(value)
}

extern "C" fn run(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut count = ARGUMENTS_MAX;
    let mut arguments = [ptr::null_mut(); ARGUMENTS_MAX];
    let mut data = ptr::null_mut();
    // SAFETY: Node's own call; the array has room for `count`, and Node fills all of it.
    let status = unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &raw mut count,
            arguments.as_mut_ptr(),
            ptr::null_mut(),
            &raw mut data,
        )
    };
    if status != sys::Status::napi_ok || data.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the data of a function that `function` made; Node runs its finalizer no sooner than it has collected the function, which
    // is being called.
    let Function { desk, body } = unsafe { &*data.cast::<Function>() };
    let call = Call {
        env: Env::from_raw(env),
        arguments,
    };
    body(desk, &call).0
}

extern "C" fn drop_function(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: the box that `function` gave away; Node runs a finalizer once, for objects on the JavaScript thread.
    drop(unsafe { Box::from_raw(data.cast::<Function>()) });
}

fn check(status: sys::napi_status) -> napi::Result<()> {
    if status == sys::Status::napi_ok {
        Ok(())
    } else {
        Err(napi::Error::from_reason(format!(
            "Node-API refused a function (status {status})"
        )))
    }
}
