/** 200 random models in reference, TypeScript and WGSL: those with odd indices. */
import { describe } from 'vitest'
import { suite } from './suite.ts'

describe('TypeScript fused and unfused, WGSL fused; with steps, and WGSL unfused, on every fourth', () => suite(1))
