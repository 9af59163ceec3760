// Launches a kernel from an operation of XLA, through the driver's interface.
//
// The driver is looked for when it is needed: where there is none, this still compiles.

#include <dlfcn.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <type_traits>

#include "ffi.h"

typedef void *Context, *Module, *Function, *Stream;
static constexpr int DYNAMIC_SHARED_BYTES = 8;  // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES

struct Driver {
  int (*context_of)(Stream, Context*);
  int (*push)(Context);
  int (*pop)(Context*);
  int (*load)(Module*, const void*);
  int (*find)(Function*, Module, const char*);
  int (*set)(Function, int, int);
  int (*launch)(Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                Stream, void**, void**);
  bool found;
  Driver() {
    void* library = dlopen("libcuda.so.1", RTLD_NOW);
    auto get = [&](auto& function, const char* name) {
      function = library ? reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name))
                         : nullptr;
      return function != nullptr;
    };
    found = get(context_of, "cuStreamGetCtx") & get(push, "cuCtxPushCurrent_v2") &
            get(pop, "cuCtxPopCurrent_v2") & get(load, "cuModuleLoadData") &
            get(find, "cuModuleGetFunction") & get(set, "cuFuncSetAttribute") &
            get(launch, "cuLaunchKernel");
  }
};

// The kernel in a device's context, loaded when it is first needed.
static int function_in(const Driver& driver, Context context, const void* image, int memory,
                       Function* function) {
  static std::mutex mutex;
  static std::map<Context, Function> known;
  std::lock_guard<std::mutex> lock(mutex);
  if (auto found = known.find(context); found != known.end()) return *function = found->second, 0;
  Module module;
  if (int code = driver.load(&module, image)) return code;
  if (int code = driver.find(function, module, "steps")) return code;
  if (int code = driver.set(*function, DYNAMIC_SHARED_BYTES, memory)) return code;
  known[context] = *function;
  return 0;
}

static XLA_FFI_Error* launch(XLA_FFI_CallFrame* frame, const void* image, void* arrays,
                             unsigned seeds, unsigned threads, int memory) {
  static const Driver driver;
  XLA_FFI_Stream_Get_Args asked = {};
  asked.struct_size = XLA_FFI_Stream_Get_Args_STRUCT_SIZE;
  asked.ctx = frame->ctx;
  if (XLA_FFI_Error* error = frame->api->XLA_FFI_Stream_Get(&asked)) return error;
  if (!driver.found) return failed(frame, "no driver of CUDA (libcuda.so.1)");
  Context context;
  Function function;
  if (driver.context_of(asked.stream, &context) || driver.push(context))
    return failed(frame, "the device cannot be reached");
  int code = function_in(driver, context, image, memory, &function);
  void* arguments[] = {arrays};
  if (!code)
    code = driver.launch(function, seeds, 1, 1, threads, 1, 1, memory, asked.stream, arguments,
                         nullptr);
  driver.pop(&context);
  return code ? failed(frame, "the kernel cannot be loaded or launched") : nullptr;
}
