import { join } from 'node:path';
import { ts } from '@ts-morph/common';
import { ROOT } from './source-tree.js';

/** The declarations of the build, as an embedder's compiler sees them. */
const INDEX = join(ROOT, 'dist/src/index.d.ts');

export interface Mention {
  /** The exported declaration that mentions it. */
  readonly by: string;
  readonly name: string;
  readonly file: string;
}

const programs = new Map<string, ts.Program>();

/** Made once for each file: it takes seconds. */
function programOf(file: string): ts.Program {
  const known = programs.get(file);
  if (known !== undefined) return known;
  const program = ts.createProgram([file], {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    skipLibCheck: true,
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules/@types')],
  });
  programs.set(file, program);
  return program;
}

/** The public names of the package with their documentation comments. */
export function publicNames(file = INDEX): ReadonlyMap<string, string> {
  const program = programOf(file);
  const checker = program.getTypeChecker();
  return new Map(
    exportsOf(program, file).map((symbol) => [
      symbol.name,
      ts.displayPartsToString(resolved(checker, symbol).getDocumentationComment(checker)),
    ]),
  );
}

/** Types and values of this package that exported declarations mention although they are not exported themselves. */
export function unexportedMentions(file = INDEX): Mention[] {
  const program = programOf(file);
  const checker = program.getTypeChecker();
  const exported = new Set(exportsOf(program, file).map((symbol) => resolved(checker, symbol)));
  const mentions = new Map<string, Mention>();
  for (const symbol of exported) {
    const report = (node: ts.Node): void => {
      const found = checker.getSymbolAtLocation(node);
      if (found === undefined) return;
      const target = resolved(checker, found);
      const place = target.declarations?.[0];
      if (place === undefined || exported.has(target) || !isOwn(target)) return;
      // The compiler's own name for a base class that is an expression: its declaration is visited instead.
      if (target.name.endsWith('_base')) {
        visit(place, report);
        return;
      }
      const { fileName } = place.getSourceFile();
      mentions.set(`${symbol.name} ${target.name}`, { by: symbol.name, name: target.name, file: fileName });
    };
    for (const declaration of symbol.declarations ?? []) visit(declaration, report);
  }
  return [...mentions.values()];
}

/** Members and options of the exported interfaces and classes that have no documentation comment. */
export function undocumentedMembers(names: readonly string[], file = INDEX): string[] {
  const program = programOf(file);
  const checker = program.getTypeChecker();
  return exportsOf(program, file)
    .filter(({ name }) => names.includes(name))
    .flatMap((symbol) => {
      const members = resolved(checker, symbol).declarations?.flatMap((one) =>
        ts.isInterfaceDeclaration(one) || ts.isClassDeclaration(one) ? [...one.members] : [],
      );
      return (members ?? []).flatMap((member) => {
        if (member.name === undefined || ts.isPrivateIdentifier(member.name) || isPrivate(member)) return [];
        const own = checker.getSymbolAtLocation(member.name);
        const text = own === undefined ? '' : ts.displayPartsToString(own.getDocumentationComment(checker));
        return text === '' ? [`${symbol.name}.${member.name.getText()}`] : [];
      });
    });
}

function exportsOf(program: ts.Program, file: string): ts.Symbol[] {
  const source = program.getSourceFile(file);
  const module = source && program.getTypeChecker().getSymbolAtLocation(source);
  if (module === undefined) throw new Error(`${file} is missing; run "npm run build" first.`);
  return program.getTypeChecker().getExportsOfModule(module);
}

function resolved(checker: ts.TypeChecker, symbol: ts.Symbol): ts.Symbol {
  return (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol);
}

/** Every identifier in a place where a type or a base class is named; private members are left out. */
function visit(node: ts.Node, found: (name: ts.Node) => void): void {
  if (ts.isClassElement(node) && isPrivate(node)) return;
  if (ts.isTypeReferenceNode(node)) found(lastName(node.typeName));
  else if (ts.isTypeQueryNode(node)) found(lastName(node.exprName));
  else if (ts.isExpressionWithTypeArguments(node)) found(node.expression);
  else if (ts.isImportTypeNode(node) && node.qualifier !== undefined) found(lastName(node.qualifier));
  ts.forEachChild(node, (child) => visit(child, found));
}

function lastName(name: ts.EntityName): ts.Identifier {
  return ts.isQualifiedName(name) ? name.right : name;
}

function isPrivate(node: ts.Node): boolean {
  return (
    ts.canHaveModifiers(node) &&
    ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword) === true
  );
}

/** Declared by this package at the top level of one of its modules: not a type parameter, not of Node or a library. */
function isOwn(symbol: ts.Symbol): boolean {
  return (symbol.declarations ?? []).some((declaration) => {
    const { fileName } = declaration.getSourceFile();
    return !ts.isTypeParameterDeclaration(declaration) && !fileName.includes('/node_modules/');
  });
}
