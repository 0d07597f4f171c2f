/** ONNX files: the part of onnx.proto3 that the graphs need, encoded by protobufjs. */
import { peer } from '../places.ts'

/** The field numbers are those of onnx/onnx.proto (IR version 9). */
const schema = `syntax = "proto3";
message Attribute { string name = 1; float f = 2; int64 i = 3; bytes s = 4; Tensor t = 5; repeated float floats = 7; repeated int64 ints = 8; int32 type = 20; }
message Node { repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4; repeated Attribute attribute = 5; string domain = 7; }
message Pair { string key = 1; string value = 2; }
message Tensor { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9; repeated Pair external_data = 13; int32 data_location = 14; }
message Dimension { oneof value { int64 dim_value = 1; string dim_param = 2; } }
message Shape { repeated Dimension dim = 1; }
message TensorType { int32 elem_type = 1; Shape shape = 2; }
message Type { TensorType tensor_type = 1; }
message ValueInfo { string name = 1; Type type = 2; }
message Graph { repeated Node node = 1; string name = 2; repeated Tensor initializer = 5; repeated ValueInfo input = 11; repeated ValueInfo output = 12; }
message OperatorSet { string domain = 1; int64 version = 2; }
message Model { int64 ir_version = 1; string producer_name = 2; Graph graph = 7; repeated OperatorSet opset_import = 8; }`

interface MessageType {
  readonly verify: (message: object) => string | null
  readonly encode: (message: object) => { readonly finish: () => Uint8Array }
}
interface Protobuf {
  readonly parse: (
    text: string,
    options: object,
  ) => { readonly root: { readonly lookupType: (name: string) => MessageType } }
}

/** Encodes a `Model` message written as a plain object with the names of the schema. */
export async function encodeModel(message: object): Promise<Uint8Array> {
  const protobuf = await peer<Protobuf>('protobufjs')
  const type = protobuf.parse(schema, { keepCase: true }).root.lookupType('Model')
  const wrong = type.verify(message)
  if (wrong !== null) throw new Error(`internal: no ONNX model: ${wrong}`)
  return type.encode(message).finish()
}
