// What an operation has to say to XLA.

#pragma once

#include "xla/ffi/api/c_api.h"

static inline XLA_FFI_Buffer* argument(XLA_FFI_CallFrame* frame, int i) {
  return static_cast<XLA_FFI_Buffer*>(frame->args.args[i]);
}

static inline XLA_FFI_Buffer* result(XLA_FFI_CallFrame* frame, int i) {
  return static_cast<XLA_FFI_Buffer*>(frame->rets.rets[i]);
}

// XLA first asks for which version of its interface a program was compiled.
static inline bool tells_version(XLA_FFI_CallFrame* frame) {
  for (auto* extension = frame->extension_start; extension; extension = extension->next)
    if (extension->type == XLA_FFI_Extension_Metadata) {
      auto& version = reinterpret_cast<XLA_FFI_Metadata_Extension*>(extension)->metadata->api_version;
      version.struct_size = XLA_FFI_Api_Version_STRUCT_SIZE;
      version.major_version = XLA_FFI_API_MAJOR;
      version.minor_version = XLA_FFI_API_MINOR;
      return true;
    }
  return false;
}

static inline XLA_FFI_Error* failed(XLA_FFI_CallFrame* frame, const char* message) {
  XLA_FFI_Error_Create_Args error = {};
  error.struct_size = XLA_FFI_Error_Create_Args_STRUCT_SIZE;
  error.message = message;
  error.errc = XLA_FFI_Error_Code_RESOURCE_EXHAUSTED;
  return frame->api->XLA_FFI_Error_Create(&error);
}

// How many steps, then the inputs; and the outputs: as a struct of pointers holds them.
template <class Arrays>
static inline Arrays arrays_of(XLA_FFI_CallFrame* frame) {
  Arrays arrays = {static_cast<const int*>(argument(frame, 0)->data)};
  for (int i = 1; i < frame->args.size; i++) arrays.inputs[i - 1] = argument(frame, i)->data;
  for (int i = 0; i < frame->rets.size; i++) arrays.outputs[i] = result(frame, i)->data;
  return arrays;
}
